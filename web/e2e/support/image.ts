import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from './engine';
import { run } from './process';

export interface Image {
	/** What it runs, in busybox's shell. */
	script: string;
	/** Docker's health check, in the same shell. */
	health?: string;
	/** Failures in a row until it counts as unhealthy. */
	retries?: number;
}

const COMMANDS = ['sh', 'cat', 'httpd', 'sleep', 'test', 'touch', 'seq', 'sed'];

/** Makes a local image out of Debian's static busybox and a start script. */
export async function busybox(engine: Engine, tag: string, image: Image): Promise<void> {
	const dir = await mkdtemp(join(tmpdir(), 'tiny-forge-image-'));
	try {
		await Promise.all(['bin', 'etc', 'tmp', 'www'].map((name) => mkdir(join(dir, name))));
		await copyFile('/bin/busybox', join(dir, 'bin/busybox'));
		await Promise.all(COMMANDS.map((name) => symlink('busybox', join(dir, 'bin', name))));
		await writeFile(join(dir, 'start.sh'), `${image.script}\n`);
		await writeFile(join(dir, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n');
		const changes = ['CMD ["sh", "/start.sh"]', 'ENV PATH=/bin', ...healthCheck(image)];
		const archive = spawn('tar', ['-c', '-C', dir, '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
		const options = changes.flatMap((change) => ['--change', change]);
		const args = ['--host', engine.address, 'import', ...options, '-', tag];
		await run('docker', args, archive.stdout);
	} finally {
		await rm(dir, { recursive: true, force: true });
	}
}

function healthCheck({ health, retries = 1_000 }: Image): string[] {
	if (!health) return [];
	return [`HEALTHCHECK --interval=300ms --timeout=5s --retries=${retries} CMD ${health}`];
}
