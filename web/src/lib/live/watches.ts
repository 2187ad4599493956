import type { Event, ResetReason } from '$lib/api/schema';
import { perFrame } from './batch';

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
	onReset(reason: ResetReason, head: number): void;
}

interface Watching {
	watch: Watch;
	/** The newest id that this watch has passed. */
	cursor: number;
	pending: Event[];
	/** What the stream brought while this watch was late. */
	held: Event[];
}

/** Those who are late at a moment. */
type Late = ReadonlySet<Watching>;

/** The watches of a tab on its one stream, each with its own cursor. */
export class Watches {
	#all = new Set<Watching>();
	/** They came after the stream was opened, which may lack something of what they want. */
	#late = new Set<Watching>();
	#scheduleFlush = perFrame(() => this.flush());

	add(watch: Watch): () => void {
		const watching: Watching = { watch, cursor: watch.after, pending: [], held: [] };
		this.#all.add(watching);
		this.#late.add(watching);
		return () => {
			this.#all.delete(watching);
			this.#late.delete(watching);
		};
	}

	get late(): Late {
		return new Set(this.#late);
	}

	/** What those who are late want lies after this id. */
	get lateStart(): number {
		return Math.min(...[...this.#late].map(({ cursor }) => cursor));
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
			if (!this.#late.has(watching)) take(watching, event);
			else if (wants(watching.watch, event)) watching.held.push(event);
		}
		this.#scheduleFlush();
	}

	/** The stream has passed `id`, though nobody wanted what was there. */
	advance(id: number): void {
		for (const watching of this.#all) if (!this.#late.has(watching)) pass(watching, id);
	}

	/** Those who were late have all of the past up to `until`; the rest was held for them. */
	join(late: Late, past: Event[], until: number): void {
		for (const watching of late) {
			// Told of a reset meanwhile, or stopped.
			if (!this.#late.delete(watching)) continue;
			for (const event of past) take(watching, event);
			pass(watching, until);
			for (const event of watching.held.splice(0)) take(watching, event);
		}
		this.#scheduleFlush();
	}

	/** A new stream starts far enough back for everybody, with all that they want. */
	restart(): void {
		for (const watching of this.#late) watching.held = [];
		this.#late.clear();
	}

	reset(reason: ResetReason, head: number): void {
		this.restart();
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

/** Each id once, whichever way it comes. */
function take(watching: Watching, event: Event): void {
	if (event.id <= watching.cursor) return;
	watching.cursor = event.id;
	if (wants(watching.watch, event)) watching.pending.push(event);
}

function pass(watching: Watching, id: number): void {
	watching.cursor = Math.max(watching.cursor, id);
}

function wants(watch: Watch, event: Event): boolean {
	return event.type !== 'deploy_log' || event.payload.deploy_id === watch.logs;
}
