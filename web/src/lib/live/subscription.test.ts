import { describe, expect, it } from 'vitest';
import { fact, logLine } from './fake-events';
import { listener, nth, settle, tab } from './harness';

const page = tab();

/** The stream is open, and has passed the events up to `head`. */
async function open(head: number) {
	page.server.last.accept(head);
	await settle();
}
const change = (n: number) => nth(page.server.changes, n);
const past = (n: number) => nth(page.server.pages, n);
const wishes = () => page.server.changes.map(({ filter }) => filter.logs);

describe('an open stream', () => {
	it('is widened for a log, and what it did not bring until then is fetched: no gap, nothing twice', async () => {
		await open(5);
		const early = listener(page.live, 5);
		const log = listener(page.live, 5, 17);
		const widened = await change(0);
		expect(widened.subscription).toBe('s1');
		expect(widened.filter).toMatchObject({ logs: [17], type: [], severity: null });
		page.server.last.facts(6, 8);
		widened.accept(8);
		const between = await past(0);
		expect(Object.fromEntries(between.query)).toEqual({ after: '5', logs: '17', limit: '500' });
		page.server.last.logs(17, 9);
		between.bring([fact(6), logLine(7, 17), fact(8), logLine(9, 17)]);
		await settle();
		page.server.last.logs(17, 10).facts(11);
		await settle();
		expect(log.seen).toEqual([6, 7, 8, 9, 10, 11]);
		expect(early.seen).toEqual([6, 8, 11]);
		expect(page.server.opened).toHaveLength(1);
	});

	it('joins a log of which nothing was missed without a further request', async () => {
		await open(5);
		const log = listener(page.live, 7, 17);
		(await change(0)).accept(7);
		await settle();
		page.server.last.logs(17, 8);
		await settle();
		expect(log.seen).toEqual([8]);
		expect(page.server.pages).toEqual([]);
	});

	it('is caught up with by watches from older snapshots, in one request', async () => {
		await open(5);
		const early = listener(page.live, 5);
		page.server.last.facts(6, 7, 8);
		await settle();
		const late = listener(page.live, 6);
		const later = listener(page.live, 7);
		const between = await past(0);
		page.server.last.facts(9);
		await settle();
		expect(late.seen, 'they are held until it is known what was before').toEqual([]);
		between.bring([fact(7), fact(8), fact(9)]);
		await settle();
		expect([early.seen, late.seen, later.seen]).toEqual([
			[6, 7, 8, 9],
			[7, 8, 9],
			[8, 9],
		]);
		expect([page.server.opened.length, page.server.pages.length]).toEqual([1, 1]);
		expect(wishes()).toEqual([]);
	});

	it('is caught up with by a watch that came while it was being opened', async () => {
		const { seen } = listener(page.live, 5);
		await open(7);
		(await past(0)).bring([fact(6), fact(7)]);
		await settle();
		expect(seen).toEqual([6, 7]);
	});

	it('is caught up with page after page', async () => {
		await open(900);
		const { seen } = listener(page.live, 100);
		(await past(0)).bring([fact(101)], { next: '600' });
		const second = await past(1);
		expect(second.query.get('after')).toBe('600');
		second.bring([fact(601)]);
		await settle();
		expect(seen).toEqual([101, 601]);
	});

	it('is changed once for watches that come together, and narrowed when nobody looks', async () => {
		await open(5);
		const one = listener(page.live, 5, 18);
		const other = listener(page.live, 5, 17);
		(await change(0)).accept(5);
		await settle();
		one.stop();
		(await change(1)).accept(5);
		await settle();
		other.stop();
		(await change(2)).accept(5);
		await settle();
		expect(wishes()).toEqual([[17, 18], [17], []]);
	});

	it('goes from one log to the next in one change', async () => {
		await open(5);
		const one = listener(page.live, 5, 17);
		(await change(0)).accept(5);
		await settle();
		const other = listener(page.live, 5, 18);
		one.stop();
		(await change(1)).accept(5);
		await settle();
		expect(wishes()).toEqual([[17], [18]]);
		page.server.last.logs(18, 6);
		await settle();
		expect(other.seen).toEqual([6]);
	});

	it('has one change under way at most, and the last wish wins', async () => {
		await open(5);
		for (const deploy of [17, 18, 19]) {
			const { stop } = listener(page.live, 5, deploy);
			await settle();
			stop();
		}
		const last = listener(page.live, 5, 20);
		await settle();
		expect(wishes()).toEqual([[17]]);
		(await change(0)).accept(5);
		(await change(1)).accept(6);
		(await past(0)).bring([logLine(6, 20)]);
		await settle();
		expect(wishes()).toEqual([[17], [20]]);
		expect(last.seen).toEqual([6]);
	});

	it('misses nothing for who leaves a log and comes back before the server has heard of it', async () => {
		await open(5);
		const before = listener(page.live, 5, 17);
		(await change(0)).accept(5);
		await settle();
		before.stop();
		const narrowed = await change(1);
		const again = listener(page.live, 5, 17);
		narrowed.accept(5);
		(await change(2)).accept(7);
		(await past(0)).bring([logLine(6, 17), logLine(7, 17)]);
		page.server.last.logs(17, 8);
		await settle();
		expect(again.seen).toEqual([6, 7, 8]);
	});
});
