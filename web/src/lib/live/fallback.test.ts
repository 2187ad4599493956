import { describe, expect, it, vi } from 'vitest';
import { fact } from './fake-events';
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

describe('a stream that cannot be changed', () => {
	async function failed(fail: () => void | Promise<void>) {
		await open(5);
		const log = listener(page.live, 4, 17);
		await settle();
		await fail();
		await settle();
		expect(page.server.opened).toHaveLength(2);
		expect(page.server.opened[0]?.signal.aborted).toBe(true);
		expect(page.server.last.query.get('after')).toBe('j-4');
		expect(page.server.last.query.get('logs')).toBe('17');
		page.server.last.accept(5).facts(5).logs(17, 6);
		await settle();
		expect(log.seen).toEqual([5, 6]);
		expect(page.live.status.kind).toBe('live');
		expect(wishes(), 'the new one has what is wanted').toEqual([[17]]);
	}

	it('is opened anew where the server does not know it', () =>
		failed(() => page.server.changes[0]?.refuse(404)));

	it('is opened anew where the past cannot be had', () =>
		failed(async () => {
			page.server.changes[0]?.accept(5);
			(await past(0)).refuse(500);
		}));

	it('is opened anew where the past is that of another journal', () =>
		failed(async () => {
			page.server.changes[0]?.accept(5);
			(await past(0)).bring([fact(5)], { journal: 'other' });
		}));

	it('is opened anew where the server does not answer', async () => {
		await failed(async () => void (await vi.advanceTimersByTimeAsync(10_000)));
		expect(page.server.changes[0]?.signal.aborted).toBe(true);
	});

	it('is opened anew where that is cheaper', async () => {
		await open(5_000);
		listener(page.live, 3_999);
		await settle();
		expect(page.server.last.query.get('after')).toBe('j-3999');
		expect(page.server.pages).toEqual([]);
	});

	it('is left alone once it has ended: the next one has what is wanted', async () => {
		await open(5);
		const log = listener(page.live, 5, 17);
		const asked = await change(0);
		page.server.last.end();
		await settle();
		expect(asked.signal.aborted).toBe(true);
		expect(page.live.status.kind).toBe('reconnecting');
		await vi.advanceTimersByTimeAsync(600);
		expect(page.server.last.query.get('logs')).toBe('17');
		page.server.last.accept(6).logs(17, 6);
		await settle();
		expect(log.seen).toEqual([6]);
		expect(wishes()).toEqual([[17]]);
	});

	it('tells of lost history those who are about to join, too', async () => {
		await open(5);
		const log = listener(page.live, 4, 17);
		(await change(0)).accept(5);
		const between = await past(0);
		page.server.last.reset('retention', 90);
		await settle();
		expect(log.resets).toEqual(['retention at 90']);
		between.bring([fact(5)]);
		page.server.last.facts(91);
		await settle();
		expect(log.seen).toEqual([91]);
	});
});
