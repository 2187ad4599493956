import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Event } from '$lib/api/schema';
import { fact } from '$lib/live/fake-events';
import { settle, tab } from '$lib/live/harness';
import { EventFeed } from './feed.svelte';
import { filterOf } from './filter';

const page = tab();
let asked: URL[];
let journal: Event[];
/** The status that requests are refused with. */
let refused: number | undefined;

/** Pages of `journal` for requests, the stream of the tab for everything else. */
beforeEach(() => {
	asked = [];
	refused = undefined;
	journal = [1, 2, 3, 4, 5].map(fact);
	const stream = globalThis.fetch;
	vi.stubGlobal('fetch', (request: Request | string, init: never) => {
		if (typeof request === 'string') return stream(request, init);
		const url = new URL(request.url);
		asked.push(url);
		if (refused) return Promise.resolve(Response.json({}, { status: refused }));
		const before = Number(url.searchParams.get('before') ?? Infinity);
		const limit = Number(url.searchParams.get('limit'));
		const older = journal.filter(({ id }) => id < before).reverse();
		const items = older.slice(0, limit);
		const next = items.length === limit ? String(items.at(-1)?.id) : null;
		const as_of = { journal: 'j', id: journal.at(-1)?.id };
		return Promise.resolve(Response.json({ items, next, as_of }));
	});
});

async function feed(query = '', most = 100) {
	const filter = filterOf(new URLSearchParams(query));
	const feed = new EventFeed(page.live, { filter, page: 3, most });
	const stop = feed.start();
	await settle();
	page.server.last.accept(5);
	await settle();
	return Object.assign(feed, { stop });
}

const ids = (events: Event[]) => events.map(({ id }) => id);

describe('the feed', () => {
	it('begins with the newest page and puts what happens on top', async () => {
		const shown = await feed();
		expect(ids(shown.events)).toEqual([5, 4, 3]);
		page.server.last.facts(6, 7);
		await settle();
		expect(ids(shown.events)).toEqual([7, 6, 5, 4, 3]);
	});

	it('reads older pages until there are no more', async () => {
		const shown = await feed();
		await shown.older();
		expect(ids(shown.events)).toEqual([5, 4, 3, 2, 1]);
		expect(shown.more).toBe(false);
		await shown.older();
		expect(asked).toHaveLength(2);
	});

	it('holds back what comes while it is paused, and shows it in order afterwards', async () => {
		const shown = await feed();
		shown.pause();
		page.server.last.facts(6);
		await settle();
		page.server.last.facts(7);
		await settle();
		expect(ids(shown.events)).toEqual([5, 4, 3]);
		expect(ids(shown.held)).toEqual([7, 6]);
		shown.resume();
		expect(ids(shown.events)).toEqual([7, 6, 5, 4, 3]);
		expect(shown.held).toEqual([]);
	});

	it('asks the server with the filter, and lets only its events through', async () => {
		const shown = await feed('type=deploy_status&severity=error');
		expect(asked[0]?.searchParams.get('type')).toBe('deploy_status');
		expect(asked[0]?.searchParams.get('severity')).toBe('error');
		page.server.last.facts(6);
		await settle();
		expect(ids(shown.events)).toEqual([5, 4, 3]);
	});

	it('keeps a bounded number, and can ask again for what fell out', async () => {
		const shown = await feed('', 4);
		journal.push(fact(6), fact(7), fact(8));
		page.server.last.facts(6, 7, 8);
		await settle();
		expect(ids(shown.events)).toEqual([8, 7, 6, 5]);
		expect(shown.more).toBe(true);
		await shown.older();
		expect(ids(shown.events)).toEqual([8, 7, 6, 5, 4, 3, 2]);
	});

	it('is read anew when history was lost, and knows where', async () => {
		const shown = await feed();
		journal = [fact(90)];
		page.server.last.reset('retention', 90);
		await settle();
		expect(ids(shown.events)).toEqual([90]);
		expect(shown.gap).toEqual({ newest: 90, reason: 'retention' });
		page.server.last.facts(91);
		await settle();
		expect(ids(shown.events)).toEqual([91, 90]);
		expect(shown.gap?.newest).toBe(90);
	});
});

describe('a feed that could not be loaded', () => {
	it('is asked for again until it comes, and then followed', async () => {
		refused = 503;
		const shown = await feed();
		expect(shown.problem).toBeDefined();
		refused = undefined;
		await vi.advanceTimersByTimeAsync(500);
		expect(shown.problem).toBeUndefined();
		page.server.last.facts(6);
		await settle();
		expect(ids(shown.events)).toEqual([6, 5, 4, 3]);
	});

	it('after history was lost keeps what it had, and is divided once it comes', async () => {
		const shown = await feed();
		refused = 503;
		page.server.last.reset('retention', 90);
		await settle();
		expect(ids(shown.events)).toEqual([5, 4, 3]);
		expect(shown.gap).toBeUndefined();
		await shown.older();
		expect(asked).toHaveLength(2);
		[refused, journal] = [undefined, [fact(90)]];
		await shown.retry();
		expect(ids(shown.events)).toEqual([90]);
		expect(shown.gap).toEqual({ newest: 90, reason: 'retention' });
		page.server.last.facts(91);
		await settle();
		expect(ids(shown.events)).toEqual([91, 90]);
	});

	it('is not asked for again by itself where the answer is final, or nobody looks any more', async () => {
		refused = 400;
		const shown = await feed();
		await vi.advanceTimersByTimeAsync(60_000);
		expect(asked).toHaveLength(1);
		refused = 503;
		await shown.retry();
		shown.stop();
		await vi.advanceTimersByTimeAsync(60_000);
		expect(asked).toHaveLength(2);
	});

	it('has older pages, which are asked for again where only they failed', async () => {
		const shown = await feed();
		refused = 503;
		await shown.older();
		expect(shown.problem).toBeDefined();
		refused = undefined;
		await shown.retry();
		expect(ids(shown.events)).toEqual([5, 4, 3, 2, 1]);
		expect(shown.problem).toBeUndefined();
	});
});
