import type { StepName } from '$lib/api/schema';
import { type LogFilter, shown } from './filter';
import { type Follow, following, next, type Signal } from './follow';
import type { Log } from './log.svelte';
import { find, type Found } from './search';

/** What one reader sees of a log: filter, search, and whether the view follows. */
export class Viewer {
	query = $state('');
	least = $state<LogFilter['least']>('info');
	stream = $state<LogFilter['stream']>('all');
	follow = $state.raw<Follow>(following);
	/** The match or error that was jumped to. */
	current = $state<number>();

	readonly log: Log;
	readonly #step: () => StepName | undefined;
	#found: Found | undefined;

	/** `step` is read as it changes: the page owns it. */
	constructor(log: Log, step: () => StepName | undefined = () => undefined) {
		this.log = log;
		this.#step = step;
	}

	readonly filter = $derived.by<LogFilter>(() => ({
		least: this.least,
		stream: this.stream,
		step: this.#step(),
	}));
	readonly lines = $derived.by(() => shown(this.log.lines, this.filter));
	/** Lines that the search found, by id. A new filter searches anew. */
	readonly matches = $derived.by(() => this.#search());
	readonly errors = $derived.by(() =>
		this.lines.filter((line) => line.level === 'error').map((line) => line.id),
	);
	readonly position = $derived(this.matches.indexOf(this.current ?? -1));

	signal(signal: Signal): void {
		this.follow = next(this.follow, signal);
	}

	/** The id after (1) or before (-1) the current place, around the end. */
	neighbour(ids: readonly number[], direction: 1 | -1): number | undefined {
		const here = this.current ?? (direction === 1 ? -Infinity : Infinity);
		return direction === 1
			? (ids.find((id) => id > here) ?? ids[0])
			: (ids.findLast((id) => id < here) ?? ids.at(-1));
	}

	/** What a link that is made now points at: the line that was jumped to, else the first from `top` on. */
	linkable(top: number): number | undefined {
		if (this.lines.some(({ id }) => id === this.current)) return this.current;
		return this.lines.slice(top).find(({ stream }) => stream !== 'note')?.id;
	}

	#filterSearched: LogFilter | undefined;

	#search(): readonly number[] {
		const previous = this.#filterSearched === this.filter ? this.#found : undefined;
		this.#filterSearched = this.filter;
		this.#found = find(this.lines, this.query, previous);
		return this.#found.ids;
	}
}
