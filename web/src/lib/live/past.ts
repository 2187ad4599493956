import { answer, api } from '$lib/api/client';
import type { Event, EventPage } from '$lib/api/schema';

const PAGE_EVENTS = 500;

interface WantedPage {
	after: number;
	/** Log lines of these deploys, besides all facts. */
	logs: number[];
	signal: AbortSignal;
}

interface Wanted extends WantedPage {
	journal: string | undefined;
	until: number;
}

/** What a stream would have brought after `after`, or the first of it. */
export function loadPage({ after, logs, signal }: WantedPage): Promise<EventPage> {
	const query = {
		after: `${after}`,
		limit: PAGE_EVENTS,
		...(logs.length > 0 && { logs: logs.join(',') }),
	};
	const headers = { accept: 'application/json' };
	return answer(api.GET('/api/events', { params: { query }, headers, signal }));
}

/** What the stream would have brought after `after` up to `until`, in id order. */
export async function loadPast({ journal, after, until, logs, signal }: Wanted): Promise<Event[]> {
	const past: Event[] = [];
	while (after < until) {
		const page = await loadPage({ after, logs, signal });
		if (page.as_of.journal !== journal) throw new Error('the server has another journal');
		past.push(...page.items.filter(({ id }) => id <= until));
		after = page.next ? Number(page.next) : until;
	}
	return past;
}
