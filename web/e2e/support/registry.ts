import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from './engine';
import { busybox, type Image } from './image';
import { freePort } from './port';
import { end, said, start } from './process';

/** Debian's docker-registry on a loopback port. */
export class Registry {
	private constructor(
		private readonly port: number,
		private readonly dir: string,
		private readonly process: ChildProcess,
	) {}

	static async start(): Promise<Registry> {
		const [port, dir] = [await freePort(), await mkdtemp(join(tmpdir(), 'tiny-forge-registry-'))];
		const config = join(dir, 'config.yml');
		const settings = {
			version: 0.1,
			log: { level: 'info' },
			storage: { filesystem: { rootdirectory: join(dir, 'images') } },
			http: { addr: `127.0.0.1:${port}` },
		};
		// JSON is YAML.
		await writeFile(config, JSON.stringify(settings));
		const child = start('docker-registry', ['serve', config], ['ignore', 'ignore', 'pipe']);
		if (child.stderr) await said(child.stderr, /listening on/, 'docker-registry');
		return new Registry(port, dir, child);
	}

	/** Makes an image and pushes it; gone from the engine afterwards, so that a deploy has to pull it. */
	async push(engine: Engine, name: string, image: Image): Promise<string> {
		const reference = `127.0.0.1:${this.port}/${name}`;
		await busybox(engine, reference, image);
		await engine.docker('push', '--quiet', reference);
		await engine.docker('rmi', reference);
		return reference;
	}

	async stop(): Promise<void> {
		await end(this.process);
		await rm(this.dir, { recursive: true, force: true });
	}
}
