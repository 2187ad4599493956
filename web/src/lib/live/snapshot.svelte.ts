import { untrack } from 'svelte';
import type { Event, Position } from '$lib/api/schema';
import { getLive, type Live } from './live.svelte';

/** What changes come together are worth one request. */
const REST_MS = 250;

interface Options<T> {
	/** Asks the server; the answer says which event it is as of. */
	load: () => Promise<T>;
	/** This event makes what is shown out of date. */
	concerns: (event: Event) => boolean;
	/** All that happens after the first load, for who also draws single events. */
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
	#loading = false;
	#outdated = false;
	#ended = false;

	constructor(live: Live, options: Options<T>) {
		this.#live = live;
		this.#options = options;
	}

	start(): () => void {
		this.#ended = false;
		void this.refresh();
		return () => {
			this.#ended = true;
			this.#unwatch?.();
			this.#unwatch = undefined;
			clearTimeout(this.#timer);
			this.#timer = undefined;
		};
	}

	refresh = async (): Promise<void> => {
		this.#outdated = this.#loading;
		// It is asked in a moment anyway.
		if (this.#ended || this.#loading || this.#timer !== undefined) return;
		this.#loading = true;
		try {
			const data = await this.#options.load();
			if (!this.#ended) this.#show(data);
		} catch (error) {
			this.problem = error;
		}
		this.#loading = false;
		if (this.#outdated && !this.#ended) this.#timer = setTimeout(this.#rested, REST_MS);
	};

	#rested = (): void => {
		this.#timer = undefined;
		void this.refresh();
	};

	#show(data: T): void {
		this.data = data;
		this.problem = undefined;
		this.#unwatch ??= this.#live.watch({
			after: data.as_of.id,
			onEvents: (events) => {
				this.#options.onEvents?.(events);
				if (events.some(this.#options.concerns)) void this.refresh();
			},
			onReset: () => {
				this.#unwatch?.();
				this.#unwatch = undefined;
				void this.refresh();
			},
		});
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
