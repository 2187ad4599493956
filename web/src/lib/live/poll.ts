import type { Event, EventPage, ResetReason } from '$lib/api/schema';
import { loadPage } from './past';
import type { Frame } from './sse';
import type { Watches } from './watches';

export const POLL_MS = 2_000;

interface Options {
	watches: Watches;
	/** What ids were of until now. */
	journal: string | undefined;
	signal: AbortSignal;
	onFrame: (frame: Frame) => void;
}

/**
 * For a tab that has no place for a stream: the frames that a stream would bring, from pages
 * of the journal. Ends when it is aborted, or a page cannot be had.
 */
export async function poll({ watches, journal, signal, onFrame }: Options): Promise<never> {
	let head = 0;
	for (let isFirst = true; ; isFirst = false) {
		// Whoever has come meanwhile is told its past with the others.
		watches.restart();
		const { start, logs } = watches;
		const page = await loadPage({ after: start ?? head, logs, signal });
		const { as_of: at } = page;
		const lost = start === undefined ? undefined : whyIncomplete(start, journal, page);
		// Where nobody watches, there is nothing to catch up with.
		const next = start === undefined || lost ? undefined : page.next;
		if (isFirst || lost) onFrame(hello(page));
		if (lost) onFrame(reset(lost, page));
		else if (start !== undefined) for (const event of page.items) onFrame(fact(event, at.journal));
		onFrame(bookmark(next ?? at.id, at.journal));
		journal = at.journal;
		head = at.id;
		if (!next) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
		signal.throwIfAborted();
	}
}

/** In the words of a stream's `reset`. */
function whyIncomplete(
	after: number,
	journal: string | undefined,
	{ oldest, as_of }: EventPage,
): ResetReason | undefined {
	if (journal !== undefined && journal !== as_of.journal) return 'foreign_journal';
	if (after > as_of.id) return 'ahead';
	return after + 1 < oldest.id ? 'retention' : undefined;
}

function hello({ as_of: { journal, id } }: EventPage): Frame {
	return { id: undefined, event: 'hello', data: JSON.stringify({ head: `${journal}-${id}` }) };
}

function reset(reason: ResetReason, { as_of: { journal, id } }: EventPage): Frame {
	return { id: `${journal}-${id}`, event: 'reset', data: JSON.stringify({ reason }) };
}

function fact(event: Event, journal: string): Frame {
	return { id: `${journal}-${event.id}`, event: undefined, data: JSON.stringify(event) };
}

function bookmark(id: number | string, journal: string): Frame {
	return { id: `${journal}-${id}`, event: 'bookmark', data: '{}' };
}
