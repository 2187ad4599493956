import { type ChildProcess, execFile, spawn, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** How long anything real may take on a machine that also compiles. */
export const PATIENCE_MS = 60_000;

/** Starts a program that ends with us, however we end. */
export function start(
	program: string,
	args: string[],
	stdio: StdioOptions,
	env: Record<string, string> = {},
): ChildProcess {
	const options = { stdio, env: { ...process.env, ...env } };
	return spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], options);
}

/** Ends a program and waits until it has gone. */
export async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const gone = once(child, 'exit');
	child.kill(signal);
	await gone;
}

/** The first line that `wanted` picks something from; the rest is read and dropped. */
export function said(output: Readable, wanted: RegExp, who: string): Promise<string> {
	const lines = createInterface(output);
	const heard: string[] = [];
	return new Promise((resolve, reject) => {
		const fail = (why: string) => reject(new Error(`${who} ${why}: ${heard.join('\n')}`));
		const timer = setTimeout(() => fail('did not start in time'), PATIENCE_MS);
		lines.on('line', (line) => {
			const found = wanted.exec(line);
			if (!found) return void heard.push(line);
			clearTimeout(timer);
			heard.length = 0;
			resolve(found[1] ?? line);
		});
		lines.on('close', () => {
			clearTimeout(timer);
			fail('ended');
		});
	});
}

/** Runs a program to its end; its standard output. */
export function run(program: string, args: string[], input?: Readable): Promise<string> {
	return new Promise((resolve, reject) => {
		const child = execFile(program, args, { timeout: PATIENCE_MS }, (error, stdout, stderr) => {
			if (error) reject(new Error(`${program} ${args.join(' ')}: ${error.message}\n${stderr}`));
			else resolve(stdout.trim());
		});
		if (input && child.stdin) input.pipe(child.stdin);
	});
}
