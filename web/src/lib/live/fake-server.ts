import { vi } from 'vitest';
import type { Event } from '$lib/api/schema';

/** One request for the stream, and the server's side of it. */
export class Opened {
	readonly query: URLSearchParams;
	#body!: ReadableStreamDefaultController<Uint8Array>;
	#answer!: (response: Response) => void;
	readonly answered: Promise<Response>;

	constructor(
		path: string,
		readonly signal: AbortSignal,
	) {
		this.query = new URL(path, 'http://server').searchParams;
		this.answered = new Promise((resolve, reject) => {
			this.#answer = resolve;
			signal.addEventListener('abort', () => reject(signal.reason));
		});
	}

	accept(head: number, resumed = this.query.has('after')): this {
		const body = new ReadableStream<Uint8Array>({ start: (it) => void (this.#body = it) });
		this.signal.addEventListener('abort', () => this.#body.error(this.signal.reason));
		this.#answer(new Response(body));
		return this.send(`event: hello\ndata: {"head":"j-${head}","resumed":${resumed}}\n\n`);
	}

	refuse(status: number, headers: Record<string, string> = {}): void {
		this.#answer(new Response(null, { status, headers }));
	}

	facts(...ids: number[]): this {
		return this.send(ids.map((id) => frame(fact(id))).join(''));
	}

	logs(deploy: number, ...ids: number[]): this {
		return this.send(ids.map((id) => frame(logLine(id, deploy))).join(''));
	}

	bookmark(id: number): this {
		return this.send(`id: j-${id}\nevent: bookmark\ndata: {}\n\n`);
	}

	reset(reason: string, head: number): this {
		return this.send(`id: j-${head}\nevent: reset\ndata: {"reason":"${reason}"}\n\n`);
	}

	send(text: string): this {
		this.#body.enqueue(new TextEncoder().encode(text));
		return this;
	}

	end(): void {
		this.#body.close();
	}
}

/** Answers `fetch` as `GET /api/events` would; the test plays the server. */
export class FakeServer {
	readonly opened: Opened[] = [];

	constructor() {
		vi.stubGlobal('fetch', (path: string, { signal }: { signal: AbortSignal }) => {
			const opened = new Opened(path, signal);
			this.opened.push(opened);
			return opened.answered;
		});
	}

	get last(): Opened {
		const last = this.opened.at(-1);
		if (!last) throw new Error('nobody has opened a stream');
		return last;
	}
}

function frame(event: Event): string {
	return `id: j-${event.id}\ndata: ${JSON.stringify(event)}\n\n`;
}

export function fact(id: number): Event {
	return {
		...common(id),
		type: 'system',
		payload: { what: 'started', message: 'the server has started' },
	};
}

function logLine(id: number, deploy: number): Event {
	const payload = {
		deploy_id: deploy,
		line: `line ${id}`,
		step: 'pull',
		stream: 'stdout',
	} as const;
	return { ...common(id), type: 'deploy_log', payload };
}

function common(id: number) {
	const time = '2026-03-27T22:30:25.123Z';
	return {
		id,
		time,
		recorded: time,
		node: 'n-1',
		subject: 'server',
		severity: 'info' as const,
		actor: { kind: 'system' as const, name: 'server' },
	};
}
