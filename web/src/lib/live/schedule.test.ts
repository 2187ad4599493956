import { describe, expect, it, vi } from 'vitest';
import type { Event } from '$lib/api/schema';
import { dice } from './dice';
import { fact, logLine } from './fake-events';
import type { AskedChange, AskedPage, Opened } from './fake-server';
import { crowd, listener, lookAway, settle, tab } from './harness';

const page = tab({ locks: true });

const DEPLOYS = [17, 18];
const MOVES = 250;
const GAMES = 40;
/** The tab waits half a minute at most for its next try. */
const ENOUGH_MS = 60_000;

function logsOf(query: URLSearchParams): number[] {
	return (query.get('logs') ?? '').split(',').filter(Boolean).map(Number);
}

function has(logs: number[], event: Event): boolean {
	return event.type !== 'deploy_log' || logs.includes(event.payload.deploy_id);
}

interface Stream {
	opened: Opened;
	logs: number[];
	cursor: number;
	ended: boolean;
}

/** The server, which does each thing when it is told to. */
class Server {
	readonly events: Event[] = [];
	#streams: Stream[] = [];
	#unanswered: (() => void)[] = [];
	#seen = { changes: 0, pages: 0 };

	get head(): number {
		return this.events.length;
	}

	publish(deploy: number | undefined): void {
		const id = this.head + 1;
		this.events.push(deploy === undefined ? fact(id) : logLine(id, deploy));
	}

	/** Says hello to a new stream. */
	greet(): void {
		const opened = page.server.opened.at(-1);
		const isKnown = this.#streams.some((stream) => stream.opened === opened);
		if (!opened || opened.signal.aborted || isKnown) return;
		const after = opened.query.get('after');
		const cursor = after === null ? this.head : Number(after.split('-').at(-1));
		this.#streams.push({ opened, logs: logsOf(opened.query), cursor, ended: false });
		opened.accept(this.head);
	}

	/** Sends some of what is new. */
	send(most: number): void {
		const stream = this.#open;
		if (!stream) return;
		const news = this.events.slice(stream.cursor, stream.cursor + most);
		stream.cursor += news.length;
		stream.opened.events(news.filter((event) => has(stream.logs, event)));
	}

	bookmark(): void {
		const stream = this.#open;
		if (stream) stream.opened.bookmark(stream.cursor);
	}

	breakStream(): void {
		const stream = this.#open;
		if (!stream) return;
		stream.ended = true;
		stream.opened.end();
	}

	/** Does what it was asked for; the answer is on its way. */
	obey(): void {
		const { changes, pages } = page.server;
		for (const change of changes.slice(this.#seen.changes)) this.#change(change);
		for (const asked of pages.slice(this.#seen.pages)) this.#page(asked);
		this.#seen = { changes: changes.length, pages: pages.length };
	}

	answer(): void {
		this.#unanswered.shift()?.();
	}

	get #open(): Stream | undefined {
		const last = this.#streams.at(-1);
		return last?.ended || last?.opened.signal.aborted ? undefined : last;
	}

	#change(change: AskedChange): void {
		const stream = this.#open;
		if (stream?.opened.subscription !== change.subscription)
			return void this.#unanswered.push(() => change.refuse(404));
		stream.logs = change.filter.logs;
		const { cursor } = stream;
		this.#unanswered.push(() => change.accept(cursor));
	}

	#page(asked: AskedPage): void {
		const after = Number(asked.query.get('after'));
		const logs = logsOf(asked.query);
		const scanned = this.events.slice(after, after + 5);
		const next = after + 5 < this.head ? `${after + 5}` : undefined;
		const found = scanned.filter((event) => has(logs, event));
		const { head } = this;
		this.#unanswered.push(() => asked.bring(found, { next, head }));
	}
}

/** A page of the dashboard: it knows what was until `after`, and follows from there. */
class Visit {
	readonly #after: number;
	readonly #logs: number | undefined;
	readonly #listener: ReturnType<typeof listener>;

	constructor(
		private readonly server: Server,
		roll: (sides: number) => number,
	) {
		this.#after = Math.max(0, server.head - roll(12));
		this.#logs = DEPLOYS[roll(3)];
		this.#listener = listener(page.live, this.#after, this.#logs);
	}

	get seen(): number[] {
		return this.#listener.seen;
	}

	/** All that it is to be told. */
	get due(): number[] {
		const since = this.server.events.slice(this.#after);
		const logs = this.#logs === undefined ? [] : [this.#logs];
		return since.filter((event) => has(logs, event)).map(({ id }) => id);
	}

	leave(): void {
		this.#listener.stop();
		expect(this.seen).toEqual(this.due.slice(0, this.seen.length));
	}
}

/** What happens in a tab and on its server, in an order that the seed decides. */
async function play(seed: number): Promise<void> {
	const roll = dice(seed);
	const server = new Server();
	const visits: Visit[] = [];
	let leave: (() => void) | undefined;
	const moves = [
		() => server.publish(undefined),
		() => server.publish(DEPLOYS[roll(2)]),
		() => server.publish(DEPLOYS[roll(2)]),
		() => server.greet(),
		() => server.send(roll(6)),
		() => server.send(roll(6)),
		() => server.obey(),
		() => server.answer(),
		// At once, as most of the time.
		async () => {
			await settle();
			server.obey();
			server.answer();
		},
		() => server.bookmark(),
		() => roll(10) === 0 && server.breakStream(),
		// Other tabs wait for a place in front of this one while nobody looks at it, or leave.
		async () => {
			if (roll(4) > 0) return;
			if (leave) leave = void leave();
			else leave = crowd(page.locks);
			await lookAway(11_000 * roll(2));
		},
		() => void visits.push(new Visit(server, roll)),
		() => visits.splice(roll(3), 1).forEach((visit) => visit.leave()),
		settle,
	];
	for (let move = 0; move < MOVES; move++) await moves[roll(moves.length)]?.();
	for (let ms = 0; ms < ENOUGH_MS; ms += 100) {
		server.greet();
		server.obey();
		server.answer();
		server.send(100);
		await vi.advanceTimersByTimeAsync(100);
	}
	for (const visit of visits) expect(visit.seen).toEqual(visit.due);
}

describe('whatever happens in whatever order', () => {
	for (let seed = 1; seed <= GAMES; seed++) {
		it(`every watch is told everything once, in order (seed ${seed})`, () => play(seed));
	}
});
