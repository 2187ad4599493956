import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run, said } from './process';

const SCRIPT = resolve(import.meta.dirname, '../../../.ci/engine.sh');

/** A Docker engine of these tests' own: real, private, and gone with us, even when we are killed. */
export class Engine {
	private constructor(
		/** Deleted by the script. */
		private readonly dir: string,
		/** Ends the engine when our end of its standard input closes. */
		private readonly holder: ChildProcess,
	) {}

	static async start(): Promise<Engine> {
		const dir = await mkdtemp(join(tmpdir(), 'tiny-forge-engine-'));
		const holder = spawn(SCRIPT, ['hold', dir], { stdio: ['pipe', 'pipe', 'inherit'] });
		await said(holder.stdout, /^unix:/, 'the engine');
		return new Engine(dir, holder);
	}

	/** What to use as `DOCKER_HOST`. */
	get address(): string {
		return `unix://${this.dir}/docker.sock`;
	}

	docker(...args: string[]): Promise<string> {
		return run('docker', ['--host', this.address, ...args]);
	}

	/** Ends the daemon as a host does that shuts down; its data stays. */
	async stop(): Promise<void> {
		await run(SCRIPT, ['stop', this.dir]);
	}

	/** Starts it again on the same data. */
	async startAgain(): Promise<void> {
		const script = spawn(SCRIPT, ['start', this.dir], { stdio: ['ignore', 'ignore', 'inherit'] });
		const [code] = await once(script, 'exit');
		if (code !== 0) throw new Error('the engine did not start again, see above');
	}

	async release(): Promise<void> {
		const gone = once(this.holder, 'exit');
		this.holder.stdin?.end();
		await gone;
	}
}
