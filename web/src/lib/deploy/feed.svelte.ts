import type { Event } from '$lib/api/schema';
import { logLineOf } from '$lib/log/line';
import { Log } from '$lib/log/log.svelte';
import { loadLines, type LogPage } from './load';

/** Fills the log of one deploy: its newest lines first, then older ones, then what comes. */
export class LogFeed {
	readonly log = new Log();
	/** All older lines that fit are here. */
	complete = $state(false);

	readonly #deploy: number;
	/** There are older lines, before this id. */
	#before: number | undefined;
	/** The newest event when the stream came back, until the first lines have come. */
	#resumedAt: number | undefined;

	constructor(deploy: number, page: LogPage) {
		this.#deploy = deploy;
		this.#take(page);
	}

	accept(events: readonly Event[]): void {
		const told = events.filter((event) => logLineOf(event, this.#deploy));
		if (told.length === 0) return;
		this.#noteRecovered(told);
		this.log.append(told.flatMap((event) => logLineOf(event, this.#deploy) ?? []));
	}

	/** The stream is back after a loss: lines that were written meanwhile are told apart. */
	resumed(head: number): void {
		this.#resumedAt = head;
	}

	/** Starts anew with other lines. */
	replace(page: LogPage): void {
		this.log.clear();
		this.#take(page);
	}

	async loadOlder(stopped: AbortSignal): Promise<void> {
		while (this.#before !== undefined && this.log.room > 0) {
			const page = await loadLines(this.#deploy, this.#before);
			if (stopped.aborted) return;
			this.log.prepend(page.lines);
			this.#before = page.before;
		}
		if (this.#before !== undefined) this.log.cut = true;
		this.complete = true;
	}

	#take(page: LogPage): void {
		this.log.append(page.lines);
		this.#before = page.before;
		this.complete = page.before === undefined;
	}

	#noteRecovered(told: readonly Event[]): void {
		const resumedAt = this.#resumedAt;
		this.#resumedAt = undefined;
		if (resumedAt === undefined) return;
		const count = told.filter(({ id }) => id <= resumedAt).length;
		if (count > 0) this.log.note(`resumed, ${count} ${count === 1 ? 'line' : 'lines'} recovered`);
	}
}
