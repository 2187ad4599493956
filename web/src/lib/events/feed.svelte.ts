import { untrack } from 'svelte';
import { answer, api, isFinal } from '$lib/api/client';
import type { Event, ResetReason } from '$lib/api/schema';
import { getLive, type Live } from '$lib/live/live.svelte';
import { Retry } from '$lib/live/retry';
import { matches, queryOf, type EventFilter } from './filter';

interface Options {
	filter: EventFilter;
	/** Rows to begin with, and of each older page. */
	page: number;
	/** The most that is kept: what falls out can be asked for again. */
	most: number;
}

/** Events, newest first: what was, and what comes while nobody has paused it. */
export class EventFeed {
	events: Event[] = $state.raw([]);
	/** Came while the feed was paused; newest first. */
	held: Event[] = $state.raw([]);
	paused = $state(false);
	/** The server has older ones. */
	more = $state(false);
	loaded = $state(false);
	loadingOlder = $state(false);
	problem: unknown = $state.raw();
	/** History was lost: the newest event that was loaded again since, and why. */
	gap: { newest: number; reason: ResetReason } | undefined = $state.raw();

	#live: Live;
	#options: Options;
	#unwatch: (() => void) | undefined;
	/** What happens is shown: without, the feed has to be loaded first. */
	#following = false;
	/** Why history was lost that has not been loaded again yet. */
	#lost: ResetReason | undefined;
	#reloading: Retry;

	constructor(live: Live, options: Options) {
		this.#live = live;
		this.#reloading = new Retry(live, () => void this.reload());
		this.#options = options;
	}

	start(): () => void {
		void this.reload();
		return () => this.#stop();
	}

	reload = async (): Promise<void> => {
		this.#stop();
		// A second call while this one waits makes this one's answer worthless.
		let current = true;
		this.#unwatch = () => (current = false);
		try {
			const { items, next, as_of: asOf } = await this.#ask();
			if (!current) return;
			Object.assign(this, { events: items, held: [], more: next != null, loaded: true });
			this.problem = undefined;
			this.#reloading.succeeded();
			this.#divide(items);
			this.#watch(asOf.id);
		} catch (error) {
			if (!current) return;
			this.problem = error;
			if (!isFinal(error)) this.#reloading.failed();
		}
	};

	/** Asks again for what failed. */
	retry = (): Promise<void> => (this.#following ? this.older() : this.reload());

	older = async (): Promise<void> => {
		const last = this.events.at(-1);
		// Of a history that was lost, there is nothing older.
		if (!last || !this.more || this.loadingOlder || !this.#following) return;
		this.loadingOlder = true;
		try {
			const { items, next } = await this.#ask(last.id);
			// Those that fell out meanwhile would leave a hole between.
			if (this.events.at(-1) === last) {
				this.events = [...this.events, ...items];
				this.more = next != null;
			}
			if (this.#following) this.problem = undefined;
		} catch (error) {
			if (this.#following) this.problem = error;
		} finally {
			this.loadingOlder = false;
		}
	};

	pause(): void {
		this.paused = true;
	}

	resume(): void {
		this.paused = false;
		if (this.held.length === 0) return;
		this.#prepend(this.held);
		this.held = [];
	}

	#stop(): void {
		this.#unwatch?.();
		this.#unwatch = undefined;
		this.#following = false;
		this.#reloading.stop();
	}

	#watch(after: number): void {
		this.#following = true;
		this.#unwatch = this.#live.watch({
			after,
			onEvents: (events) => this.#accept(events),
			onReset: (reason) => {
				this.#lost = reason;
				void this.reload();
			},
		});
	}

	/** What was loaded again is told from what comes. */
	#divide([newest]: Event[]): void {
		if (this.#lost) this.gap = newest && { newest: newest.id, reason: this.#lost };
		this.#lost = undefined;
	}

	#accept(events: Event[]): void {
		const wanted = events.filter((event) => matches(this.#options.filter, event)).reverse();
		if (wanted.length === 0) return;
		if (this.paused) this.held = [...wanted, ...this.held].slice(0, this.#options.most);
		else this.#prepend(wanted);
	}

	#prepend(newer: Event[]): void {
		const all = [...newer, ...this.events];
		this.more ||= all.length > this.#options.most;
		this.events = all.slice(0, this.#options.most);
	}

	#ask(before?: number) {
		const { filter, page: limit } = this.#options;
		const query = { ...queryOf(filter), order: 'desc', limit, before };
		return answer(
			api.GET('/api/events', { params: { query }, headers: { accept: 'application/json' } }),
		);
	}
}

/** A feed that lives as long as the component which calls this while it is made. */
export function followEvents(options: Options): EventFeed {
	const live = getLive();
	const feed = new EventFeed(live, options);
	$effect(() => untrack(() => feed.start()));
	// What failed while the server was away is asked again when it is back.
	$effect(() => {
		if (live.status.kind !== 'live') return;
		untrack(() => feed.problem && void feed.retry());
	});
	return feed;
}
