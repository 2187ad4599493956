import type { Engine } from './engine';
import type { Image } from './image';

/** Counts aloud, serves HTTP, and is healthy once the test says so. */
export const CONTROLLED: Image = {
	script: `
		trap 'exit 0' TERM
		echo one > /www/index.html
		httpd -p 80 -h /www
		n=0
		while :; do n=$((n + 1)); echo "hello $n"; sleep 0.2 & wait $!; done`,
	health: 'test -e /tmp/pass',
};

/** Counts so slowly that all of its lines fit on a tall screen, where each is drawn. */
export const SLOW: Image = {
	...CONTROLLED,
	script: CONTROLLED.script.replace('sleep 0.2', 'sleep 0.5'),
};

/** Is healthy at once, and as quiet as it is long. */
export const WEB: Image = {
	script: `
		trap 'exit 0' TERM
		echo one > /www/index.html
		httpd -p 80 -h /www
		echo up
		while :; do sleep 1 & wait $!; done`,
	health: 'true',
};

/** Lets the health check of a `CONTROLLED` container pass. */
export async function letPass(engine: Engine, container: string): Promise<void> {
	await engine.docker('exec', container, 'touch', '/tmp/pass');
}

/** Writes lines to the output of a container, as its program does. */
export async function write(engine: Engine, container: string, script: string): Promise<void> {
	await engine.docker('exec', container, 'sh', '-c', `{ ${script}; } > /proc/1/fd/1`);
}

/** What a container answers to a request from the host. */
export async function webOf(engine: Engine, container: string): Promise<string> {
	const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}';
	const address = await engine.docker('inspect', '--format', format, container);
	const response = await fetch(`http://${address}/`);
	return (await response.text()).trim();
}
