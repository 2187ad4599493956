import type { Event } from '$lib/api/schema';

/** What a page wants to hear. */
export interface Watch {
	/** Facts with an id greater than this one are handed over: the `as_of.id` of the loaded snapshot. */
	after: number;
	/** Also the log lines of this deploy; they widen the one stream of the tab. */
	logs?: number;
	/** Facts in id order, batched per animation frame; each id once per watch. */
	onEvents(events: Event[]): void;
	/**
	 * History between was lost. The watch goes on from `head`; load the snapshot
	 * again, and watch anew from its `as_of.id`.
	 */
	onReset(reason: string, head: number): void;
}

interface Watching {
	watch: Watch;
	/** The newest id that this watch has passed. */
	cursor: number;
	pending: Event[];
}

/** The watches of a tab on its one stream, each with its own cursor. */
export class Watches {
	#all = new Set<Watching>();

	add(watch: Watch): () => void {
		const watching: Watching = { watch, cursor: watch.after, pending: [] };
		this.#all.add(watching);
		return () => void this.#all.delete(watching);
	}

	/** Where a stream must start so that no watch misses anything. */
	get start(): number | undefined {
		const cursors = [...this.#all].map(({ cursor }) => cursor);
		return cursors.length > 0 ? Math.min(...cursors) : undefined;
	}

	/** The deploys whose log lines somebody wants. */
	get logs(): number[] {
		const wanted = [...this.#all].flatMap(({ watch }) => watch.logs ?? []);
		return [...new Set(wanted)].sort((a, b) => a - b);
	}

	accept(event: Event): void {
		for (const watching of this.#all) {
			if (event.id <= watching.cursor) continue;
			watching.cursor = event.id;
			if (wants(watching.watch, event)) watching.pending.push(event);
		}
	}

	/** The stream has passed `id`, though nobody wanted what was there. */
	advance(id: number): void {
		for (const watching of this.#all) watching.cursor = Math.max(watching.cursor, id);
	}

	reset(reason: string, head: number): void {
		this.flush();
		for (const watching of [...this.#all]) {
			watching.cursor = head;
			watching.watch.onReset(reason, head);
		}
	}

	flush(): void {
		for (const watching of [...this.#all]) {
			const events = watching.pending;
			if (events.length === 0) continue;
			watching.pending = [];
			watching.watch.onEvents(events);
		}
	}
}

function wants(watch: Watch, event: Event): boolean {
	return event.type !== 'deploy_log' || event.payload.deploy_id === watch.logs;
}
