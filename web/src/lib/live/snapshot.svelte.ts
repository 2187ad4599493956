import { untrack } from 'svelte';
import { isFinal } from '$lib/api/client';
import type { Event, Position } from '$lib/api/schema';
import { getLive, type Live } from './live.svelte';
import { Retry } from './retry';

/** After each request: what changes meanwhile is worth one more, however many frames bring it. */
const REST_MS = 250;

interface Options<T> {
	/** Asks the server; the answer says which event it is as of. */
	load: () => Promise<T>;
	/** This event makes what is shown out of date. */
	concerns: (event: Event) => boolean;
	/** All that happens, also while nothing could be loaded yet. */
	onEvents?: (events: Event[]) => void;
}

/** What a page shows of the server: loaded, then loaded again when an event says that it changed. */
export class Snapshot<T extends { as_of: Position }> {
	/** The newest answer; it stays when a later request fails. */
	data: T | undefined = $state.raw();
	/** Why the last request failed. */
	problem: unknown = $state.raw();

	#live: Live;
	#options: Options<T>;
	#unwatch: (() => void) | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#retry: Retry;
	#loading = false;
	#outdated = false;
	#ended = false;
	/** The newest event that what is shown knows of. */
	#asOf = 0;
	/** Counts the histories: ids of one that was lost say nothing about the next. */
	#history = 0;

	constructor(live: Live, options: Options<T>) {
		this.#live = live;
		this.#retry = new Retry(live, () => void this.refresh());
		this.#options = options;
	}

	start(): () => void {
		this.#ended = false;
		void this.refresh();
		return () => {
			this.#ended = true;
			this.#stopWatching();
			clearTimeout(this.#timer);
			this.#timer = undefined;
			this.#retry.stop();
		};
	}

	refresh = async (): Promise<void> => {
		// It is asked in a moment anyway.
		this.#outdated = this.#loading || this.#timer !== undefined;
		if (this.#ended || this.#outdated) return;
		this.#retry.stop();
		this.#loading = true;
		const history = this.#history;
		const asked = this.#live.position;
		try {
			const data = await this.#options.load();
			if (!this.#ended && history === this.#history) this.#show(data);
		} catch (error) {
			this.#failed(error, history === this.#history ? asked : undefined);
		}
		this.#loading = false;
		if (!this.#ended) this.#timer = setTimeout(this.#rested, REST_MS);
	};

	#rested = (): void => {
		this.#timer = undefined;
		if (this.#outdated) void this.refresh();
	};

	/**
	 * Asked again as a lost connection is, since no event may tell to: after a reset there is no
	 * watch. What is not there may come: the event that brings it is waited for.
	 */
	#failed(error: unknown, asked: number | undefined): void {
		this.problem = error;
		if (this.#ended) return;
		if (!isFinal(error)) this.#retry.failed();
		else if (asked !== undefined) this.#watch(asked);
		// The stream began while it was asked for: what came first is not known.
		else if (this.#live.position !== undefined) this.#outdated = true;
	}

	#show(data: T): void {
		this.data = data;
		this.#asOf = data.as_of.id;
		this.problem = undefined;
		this.#retry.succeeded();
		this.#watch(data.as_of.id);
	}

	#watch(after: number): void {
		this.#unwatch ??= this.#live.watch({
			after,
			onEvents: (events) => this.#accept(events),
			onReset: () => {
				this.#stopWatching();
				this.#asOf = 0;
				this.#history += 1;
				void this.refresh();
			},
		});
	}

	#accept(events: Event[]): void {
		const news = events.filter(({ id }) => id > this.#asOf);
		if (news.length > 0) this.#options.onEvents?.(news);
		if (news.some(this.#options.concerns)) void this.refresh();
	}

	#stopWatching(): void {
		this.#unwatch?.();
		this.#unwatch = undefined;
	}
}

/** A snapshot that lives as long as the component which calls this while it is made. */
export function follow<T extends { as_of: Position }>(options: Options<T>): Snapshot<T> {
	const live = getLive();
	const snapshot = new Snapshot(live, options);
	$effect(() => untrack(() => snapshot.start()));
	// What failed while the server was away is asked again when it is back.
	$effect(() => {
		if (live.status.kind !== 'live') return;
		untrack(() => snapshot.problem && void snapshot.refresh());
	});
	return snapshot;
}
