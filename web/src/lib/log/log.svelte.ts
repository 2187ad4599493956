import { tick } from 'svelte';
import type { LogLine } from '$lib/api/schema';
import { type Line, toLine } from './line';

/** Lines kept in memory. The whole log can be downloaded. */
export const LINES_MAX = 50_000;

/**
 * The lines of one log, oldest first, each id once. The array is replaced,
 * never changed, so that a batch costs one update.
 */
export class Log {
	lines = $state.raw<readonly Line[]>([]);
	/** Older lines that are not in memory: let go, or never loaded. */
	cut = $state(false);

	readonly #max: number;
	/** Letting go is done in large pieces: it moves every index. */
	readonly #slack: number;

	constructor(max = LINES_MAX) {
		this.#max = max;
		this.#slack = Math.ceil(max / 10);
	}

	get first(): number | undefined {
		return this.lines[0]?.id;
	}

	get last(): number {
		return this.lines.at(-1)?.id ?? 0;
	}

	get room(): number {
		return Math.max(0, this.#max - this.lines.length);
	}

	/** Takes newer lines; those that are known are left out. Returns how many were new. */
	append(batch: readonly LogLine[]): number {
		const fresh = batch.filter((line) => line.id > this.last).map(toLine);
		if (fresh.length === 0) return 0;
		this.lines = [...this.lines, ...fresh];
		// A list keeps a reader's place when lines come or when lines go, not both at once.
		if (this.lines.length > this.#max + this.#slack) void tick().then(() => this.#letGo());
		return fresh.length;
	}

	/** Takes older lines, as far as there is room. */
	prepend(batch: readonly LogLine[]): void {
		const before = this.first ?? Infinity;
		const older = batch.filter((line) => line.id < before);
		const kept = older.slice(Math.max(0, older.length - this.room)).map(toLine);
		if (kept.length < older.length) this.cut = true;
		if (kept.length > 0) this.lines = [...kept, ...this.lines];
	}

	/** Says something about the log in its place: what was lost or recovered. */
	note(text: string): void {
		// Halfway to the next whole id, also after another note: it sorts right, and no event has it.
		const id = (this.last + Math.floor(this.last) + 1) / 2;
		const note: Line = {
			id,
			time: new Date().toISOString(),
			stream: 'note',
			step: undefined,
			coloured: text,
			text,
			level: 'info',
		};
		this.lines = [...this.lines, note];
	}

	/** Forgets everything: it is loaded anew. */
	clear(): void {
		this.lines = [];
		this.cut = false;
	}

	#letGo(): void {
		const excess = this.lines.length - this.#max;
		if (excess <= 0) return;
		this.lines = this.lines.slice(excess);
		this.cut = true;
	}
}
