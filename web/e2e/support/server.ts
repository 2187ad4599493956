import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Deploy, Instance, Project } from '../../src/lib/api/schema';
import { freePort } from './port';
import { end, said, start } from './process';

const ROOT = resolve(import.meta.dirname, '../../..');

/** Where domains are served. */
interface DomainPorts {
	http: number;
	https: number;
}

/** The real program, with a data directory of its own. */
export class Server {
	readonly #dir: string;
	readonly #engine: string;
	#process: ChildProcess | undefined;
	url = '';

	private constructor(
		dir: string,
		engine: string,
		/** Its Caddy's own, which listens as soon as there is a domain. */
		readonly domainPorts: DomainPorts,
	) {
		this.#dir = dir;
		this.#engine = engine;
	}

	static async start(engine = 'unix:///nonexistent/docker.sock'): Promise<Server> {
		const dir = await mkdtemp(join(tmpdir(), 'tiny-forge-server-'));
		await mkdir(join(dir, 'plugins'));
		// At once, so that they differ.
		const [http, https] = await Promise.all([freePort(), freePort()]);
		const server = new Server(dir, engine, { http, https });
		await server.#serve('127.0.0.1:0');
		return server;
	}

	async #serve(listen: string): Promise<void> {
		const program = process.env.TINY_FORGE_BIN;
		if (!program) throw new Error('TINY_FORGE_BIN names no server: run `make browser`');
		const dirs = ['--data', join(this.#dir, 'data'), '--plugins', join(this.#dir, 'plugins')];
		const args = ['serve', '--listen', listen, ...dirs, '--engine', this.#engine];
		const env = {
			TINY_FORGE_HTTP_PORT: `${this.domainPorts.http}`,
			TINY_FORGE_HTTPS_PORT: `${this.domainPorts.https}`,
			TINY_FORGE_CERTIFICATES: 'internal',
		};
		this.#process = start(program, args, ['ignore', 'pipe', 'ignore'], env);
		if (!this.#process.stdout) throw new Error('the server has no standard output');
		this.url = await said(this.#process.stdout, /listens on (\S+)/, 'the server');
	}

	/** As a crash ends it: nothing is written any more, nobody is told. */
	async kill(): Promise<void> {
		if (this.#process) await end(this.#process, 'SIGKILL');
	}

	/** A new one on the same data and address. */
	startAgain(): Promise<void> {
		return this.#serve(new URL(this.url).host);
	}

	async stop(): Promise<void> {
		if (this.#process) await end(this.#process);
		await this.#releasePorts();
		await rm(this.#dir, { recursive: true, force: true });
	}

	/** Held ports outlive the server; where none are, nobody is there to ask. */
	async #releasePorts(): Promise<void> {
		if (!process.env.TINY_FORGE_BIN) return;
		const args = ['proxy', 'stop', '--force', '--data', join(this.#dir, 'data')];
		const stopping = start(process.env.TINY_FORGE_BIN, args, ['ignore', 'ignore', 'ignore']);
		await once(stopping, 'exit');
	}

	path(name: string): string {
		return join(this.#dir, name);
	}

	/** Drops text into the plugins folder, whole, as an editor does. */
	async putPlugin(name: string, text: string): Promise<void> {
		const unfinished = this.path(`plugins/.${name}.new`);
		await writeFile(unfinished, text);
		await rename(unfinished, this.path(`plugins/${name}`));
	}

	/** Copies what `make plugins` has built into the plugins folder. */
	copyPlugin(built: string, name: string): Promise<void> {
		return copyFile(join(ROOT, built), this.path(`plugins/${name}`));
	}

	/** A file with a secret, beside the data. */
	writeSecret(name: string, value: string): Promise<void> {
		return writeFile(this.path(name), value, { mode: 0o600 });
	}

	/** Into the server's own sealed store. */
	putSecret(name: string, value: string): Promise<unknown> {
		return this.#answer('PUT', `/api/secrets/${name}`, { value });
	}

	async pluginState(name: string): Promise<string | undefined> {
		const { items } = await this.get<{ items: { name: string; state: string }[] }>('/api/plugins');
		return items.find((plugin) => plugin.name === name)?.state;
	}

	async get<T>(path: string): Promise<T> {
		return this.#answer<T>('GET', path);
	}

	project(name: string): Promise<Project> {
		return this.get(`/api/projects/${name}`);
	}

	/** One that is not watched once it serves, if nothing else is said. */
	makeProject(name: string, spec: object): Promise<Project> {
		return this.#answer('POST', '/api/projects', { name, spec: { bake_ms: 0, ...spec } });
	}

	updateStage(name: string, spec: object, stage = 'prod'): Promise<unknown> {
		return this.#answer('PUT', `/api/projects/${name}/stages/${stage}`, { spec });
	}

	deploy(project: string, stage = 'prod'): Promise<Deploy> {
		return this.#answer('POST', `/api/projects/${project}/deploys`, { stage });
	}

	async instances(project: string): Promise<Instance[]> {
		return (await this.get<{ items: Instance[] }>(`/api/instances?project=${project}`)).items;
	}

	async #answer<T>(method: string, path: string, body?: object): Promise<T> {
		const headers = { accept: 'application/json', 'content-type': 'application/json' };
		const init = { method, headers, body: body && JSON.stringify(body) };
		const response = await fetch(this.url + path, init);
		if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
		return (await response.json()) as T;
	}
}
