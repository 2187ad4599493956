import { answer, api } from '$lib/api/client';
import type { Event } from '$lib/api/schema';

const PAGE_EVENTS = 500;

interface Wanted {
	journal: string | undefined;
	after: number;
	until: number;
	/** Log lines of these deploys, besides all facts. */
	logs: number[];
	signal: AbortSignal;
}

/** What the stream would have brought after `after` up to `until`, in id order. */
export async function loadPast({ journal, after, until, logs, signal }: Wanted): Promise<Event[]> {
	const past: Event[] = [];
	const headers = { accept: 'application/json' };
	while (after < until) {
		const query = {
			after: `${after}`,
			limit: PAGE_EVENTS,
			...(logs.length > 0 && { logs: logs.join(',') }),
		};
		const page = await answer(api.GET('/api/events', { params: { query }, headers, signal }));
		if (page.as_of.journal !== journal) throw new Error('the server has another journal');
		past.push(...page.items.filter(({ id }) => id <= until));
		after = page.next ? Number(page.next) : until;
	}
	return past;
}
