import { vi } from 'vitest';
import type { Bookmark, Event, FilterView, Hello, Reset, ResetReason } from '$lib/api/schema';
import { fact, logLine, TIME } from './fake-events';

/** One request for the stream, and the server's side of it. */
export class Opened {
	readonly query: URLSearchParams;
	#body!: ReadableStreamDefaultController<Uint8Array>;
	#answer!: (response: Response) => void;
	readonly answered: Promise<Response>;

	constructor(
		path: string,
		readonly signal: AbortSignal,
		readonly subscription: string,
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
		const of = { subscription: this.subscription, oldest: 'j-1', missed: 0 };
		return this.says('hello', { head: `j-${head}`, resumed, ...of } satisfies Hello);
	}

	refuse(status: number, headers: Record<string, string> = {}): void {
		this.#answer(new Response(null, { status, headers }));
	}

	facts(...ids: number[]): this {
		return this.events(ids.map(fact));
	}

	logs(deploy: number, ...ids: number[]): this {
		return this.events(ids.map((id) => logLine(id, deploy)));
	}

	events(events: Event[]): this {
		return this.send(events.map(frame).join(''));
	}

	bookmark(id: number): this {
		return this.says('bookmark', { time: TIME } satisfies Bookmark, id);
	}

	reset(reason: ResetReason, head: number): this {
		return this.says('reset', { reason, head: `j-${head}` } satisfies Reset, head);
	}

	says(event: string, data: object, id?: number): this {
		const place = id === undefined ? '' : `id: j-${id}\n`;
		return this.send(`${place}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
	}

	send(text: string): this {
		this.#body.enqueue(new TextEncoder().encode(text));
		return this;
	}

	end(): void {
		this.#body.close();
	}
}

/** A request for JSON, and the server's side of it. */
class Asked {
	#answer!: (response: Response) => void;
	readonly answered: Promise<Response>;

	constructor(readonly signal: AbortSignal) {
		this.answered = new Promise((resolve, reject) => {
			this.#answer = resolve;
			signal.addEventListener('abort', () => reject(signal.reason));
		});
	}

	refuse(status: number): void {
		this.#answer(Response.json({ status, detail: 'no' }, { status }));
	}

	protected answer(body: object): void {
		this.#answer(Response.json(body));
	}
}

/** A wish for another filter of a stream. */
export class AskedChange extends Asked {
	constructor(
		signal: AbortSignal,
		readonly subscription: string,
		readonly filter: FilterView,
	) {
		super(signal);
	}

	/** The filter is changed; it chooses what comes after `from`. */
	accept(from: number): void {
		this.answer({ filter: this.filter, from: { journal: 'j', id: from } });
	}
}

interface Reach {
	next?: string;
	journal?: string;
	oldest?: number;
	head?: number;
}

/** A wish for a page of the past. */
export class AskedPage extends Asked {
	constructor(
		signal: AbortSignal,
		readonly query: URLSearchParams,
	) {
		super(signal);
	}

	/** A page that reaches from `oldest` to `head`. */
	bring(
		events: Event[],
		{ next, journal = 'j', oldest = 1, head = events.at(-1)?.id ?? 0 }: Reach = {},
	): void {
		const reach = { oldest: { journal, id: oldest }, as_of: { journal, id: head } };
		this.answer({ items: events, next, ...reach });
	}
}

/** Answers `fetch` as `/api/events` and `/api/subscriptions` would; the test plays the server. */
export class FakeServer {
	readonly opened: Opened[] = [];
	readonly changes: AskedChange[] = [];
	readonly pages: AskedPage[] = [];

	constructor() {
		vi.stubGlobal('fetch', (request: string | Request, init?: { signal: AbortSignal }) =>
			typeof request === 'string' ? this.#open(request, init) : this.#ask(request),
		);
	}

	get last(): Opened {
		const last = this.opened.at(-1);
		if (!last) throw new Error('nobody has opened a stream');
		return last;
	}

	#open(path: string, init?: { signal: AbortSignal }): Promise<Response> {
		const signal = init?.signal ?? new AbortController().signal;
		const opened = new Opened(path, signal, `s${this.opened.length + 1}`);
		this.opened.push(opened);
		return opened.answered;
	}

	async #ask(request: Request): Promise<Response> {
		const { pathname, searchParams } = new URL(request.url);
		if (request.method === 'GET') {
			const page = new AskedPage(request.signal, searchParams);
			this.pages.push(page);
			return page.answered;
		}
		const id = pathname.replace('/api/subscriptions/', '');
		const change = new AskedChange(request.signal, id, (await request.json()) as FilterView);
		this.changes.push(change);
		return change.answered;
	}
}

function frame(event: Event): string {
	return `id: j-${event.id}\ndata: ${JSON.stringify(event)}\n\n`;
}
