import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Answer {
	status: number;
	body: string;
	headers?: Record<string, string>;
}

/** As Slack says it. */
export const OK: Answer = { status: 200, body: 'ok' };
export const INVALID_TOKEN: Answer = { status: 403, body: 'invalid_token' };
export const rateLimited = (seconds: number): Answer => ({
	status: 429,
	body: JSON.stringify({ retry_after: seconds, ok: false, error: 'rate_limited' }),
	headers: { 'retry-after': `${seconds}`, 'content-type': 'application/json' },
});

export interface Posted {
	path: string;
	body: string;
	/** What it was answered. */
	answer: Answer;
}

/** A chat service that speaks Slack's answers. */
export class Chat {
	readonly posted: Posted[] = [];
	/** Used up one by one; then `always`. */
	readonly next: Answer[] = [];
	always = OK;
	/** Takes requests to this path, and never answers them. */
	silentAt: string | undefined;

	private constructor(private readonly server: Server) {
		server.on('request', async (request, response) => {
			const body = await text(request);
			if (request.url === this.silentAt) return;
			const answer = this.next.shift() ?? this.always;
			this.posted.push({ path: request.url ?? '', body, answer });
			response.writeHead(answer.status, answer.headers).end(answer.body);
		});
	}

	static async start(): Promise<Chat> {
		const server = createServer().listen(0, '127.0.0.1');
		await once(server, 'listening');
		return new Chat(server);
	}

	get origin(): string {
		return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
	}

	/** The texts that it took. */
	get taken(): string[] {
		return this.posted.filter(({ answer }) => answer.status === 200).map(({ body }) => body);
	}

	/** A `webhook` plugin that posts here without a signature, to `/NAME`. */
	hook(name: string, file = 'builtin:webhook'): string {
		return [
			`[plugin.${name}]`,
			`file = "${file}"`,
			`config.url = "${this.origin}/${name}"`,
			'config.sign_with = []',
			`grants.http = ["${this.origin}"]`,
			'grants.networks = ["127.0.0.1/32"]',
		].join('\n');
	}

	/** A `slack` plugin that posts here, its secret in a file. */
	plugin(name: string, secretFile: string): string {
		return [
			`[plugin.${name}]`,
			'file = "builtin:slack"',
			`config.url = "${this.origin}/services/{secret:SLACK_PATH}"`,
			'config.detail = "everything"',
			`secrets.SLACK_PATH = "file:${secretFile}"`,
			`grants.http = ["${this.origin}"]`,
			'grants.networks = ["127.0.0.1/32"]',
		].join('\n');
	}

	async stop(): Promise<void> {
		this.server.closeAllConnections();
		this.server.close();
		await once(this.server, 'close');
	}
}
