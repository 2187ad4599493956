import { answer, api } from '$lib/api/client';
import type { FilterView } from '$lib/api/schema';
import { loadPast } from './past';
import type { Watches } from './watches';

/** After that long, one new stream is what helps. */
const PATIENCE_MS = 10_000;
/** What lies further back, a new stream brings at less cost, or says that it is gone. */
const PAST_MAX = 1_000;

/** All facts; log lines are wished for apart. */
const FACTS: Omit<FilterView, 'logs'> = {
	type: [],
	project: [],
	stage: [],
	instance: [],
	deploy: [],
	severity: null,
};

interface Options {
	/** As `hello` says it. */
	id: string;
	journal: string | undefined;
	/** The log lines that the stream was opened with. */
	logs: number[];
	/** Aborted when the stream is no more. */
	signal: AbortSignal;
	watches: Watches;
	/** The newest id that the stream has passed. */
	position: () => number;
	/** The stream cannot be made to serve its watches. */
	onFailed: () => void;
}

/**
 * An open stream, made to serve whoever watches while it stays open: its filter
 * is changed, and those who come late are caught up with it.
 */
export class Subscription {
	readonly #options: Options;
	#logs: number[];
	/** Events after this one are chosen by the present filter. */
	#since = 0;
	#serving = false;

	constructor(options: Options) {
		this.#options = options;
		this.#logs = options.logs;
	}

	/** Call it when watches have come or gone; those that do so together share what it takes. */
	serve(): void {
		if (this.#serving) return;
		this.#serving = true;
		queueMicrotask(() => void this.#serve());
	}

	async #serve(): Promise<void> {
		const { signal, watches } = this.#options;
		const timer = setTimeout(() => this.#fail(), PATIENCE_MS);
		try {
			// One step at a time, and each for the wishes of its moment: the last wish wins.
			while (!signal.aborted) {
				if (`${watches.logs}` !== `${this.#logs}`) await this.#change(watches.logs);
				else if (watches.late.size > 0) await this.#catchUp();
				else break;
			}
		} catch {
			this.#fail();
		} finally {
			clearTimeout(timer);
			this.#serving = false;
		}
	}

	async #change(logs: number[]): Promise<void> {
		const { id, signal } = this.#options;
		const call = api.POST('/api/subscriptions/{id}', {
			params: { path: { id } },
			body: { ...FACTS, logs },
			signal,
		});
		const { from } = await answer(call);
		this.#since = from.id;
		this.#logs = logs;
	}

	/** Everything up to `until` is fetched, everything after it is on the stream: no gap. */
	async #catchUp(): Promise<void> {
		const { journal, signal, watches, position } = this.#options;
		const { late, lateStart: after } = watches;
		const until = Math.max(position(), this.#since);
		if (until - after > PAST_MAX) return this.#fail();
		const past = await loadPast({ journal, after, until, logs: this.#logs, signal });
		// What comes from here on belongs to the stream that has been opened since.
		signal.throwIfAborted();
		watches.join(late, past, until);
	}

	#fail(): void {
		const { signal, onFailed } = this.#options;
		if (!signal.aborted) onFailed();
	}
}
