import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** The network between the browser and a server: it can be cut, and mended. */
export class Cable {
	#connected = true;
	readonly #sockets = new Set<Socket>();

	private constructor(
		private readonly server: Server,
		private readonly port: number,
	) {
		server.on('connection', (near) => this.#carry(near));
	}

	static async to(url: string): Promise<Cable> {
		const server = createServer().listen(0, '127.0.0.1');
		await once(server, 'listening');
		return new Cable(server, Number(new URL(url).port));
	}

	get url(): string {
		return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
	}

	cut(): void {
		this.#connected = false;
		for (const socket of this.#sockets) socket.destroy();
	}

	mend(): void {
		this.#connected = true;
	}

	async remove(): Promise<void> {
		this.cut();
		this.server.close();
		await once(this.server, 'close');
	}

	#carry(near: Socket): void {
		if (!this.#connected) return void near.destroy();
		const far = connect(this.port, '127.0.0.1');
		for (const [socket, other] of [
			[near, far],
			[far, near],
		] as const) {
			this.#sockets.add(socket);
			socket.on('error', () => other.destroy());
			socket.on('close', () => {
				this.#sockets.delete(socket);
				other.destroy();
			});
			socket.pipe(other);
		}
	}
}
