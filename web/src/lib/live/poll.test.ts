import { describe, expect, it, vi } from 'vitest';
import { fact } from './fake-events';
import { crowd, listener, look, nth, seated, settle, tab } from './harness';

const page = tab({ locks: true });
const past = (n: number) => nth(page.server.pages, n);
const asks = () => page.server.pages.map(({ query }) => query.get('after'));

describe('a tab without a place', () => {
	async function without(after: number, logs?: number) {
		page.close();
		await settle();
		const leave = crowd(page.locks);
		const told = listener(page.live, after, logs);
		page.close = page.live.start();
		await seated();
		return { ...told, leave };
	}

	it('is told page after page, with the log that it shows', async () => {
		const { seen } = await without(5, 17);
		const first = await past(0);
		expect(Object.fromEntries(first.query)).toEqual({ after: '5', logs: '17', limit: '500' });
		first.bring([fact(6)], { next: '600', head: 900 });
		(await past(1)).bring([fact(601)], { head: 900 });
		await settle();
		expect(seen).toEqual([6, 601]);
		expect(asks()).toEqual(['5', '600']);
	});

	it('catches a watch up that comes later, and tells nobody anything twice', async () => {
		const { seen } = await without(5);
		const late = listener(page.live, 4);
		(await past(0)).bring([fact(6)]);
		await vi.advanceTimersByTimeAsync(2_000);
		(await past(1)).bring([fact(5), fact(6), fact(7)]);
		await settle();
		expect(asks()).toEqual(['5', '4']);
		expect(seen).toEqual([6, 7]);
		expect(late.seen).toEqual([5, 6, 7]);
	});

	it('does not read a journal that nobody watches', async () => {
		const { stop } = await without(5);
		stop();
		(await past(0)).bring([], { head: 5 });
		await vi.advanceTimersByTimeAsync(2_000);
		(await past(1)).bring([fact(6)], { next: '506', head: 9_000 });
		await settle();
		expect(page.server.pages).toHaveLength(2);
		await vi.advanceTimersByTimeAsync(2_000);
		expect(asks()).toEqual(['5', '5', '9000']);
	});

	const LOST = {
		retention: { oldest: 80, head: 90 },
		foreign_journal: { journal: 'other', head: 90 },
		ahead: { head: 3 },
	};
	for (const [reason, reach] of Object.entries(LOST)) {
		it(`says that history is lost: ${reason}`, async () => {
			const { seen, resets, leave } = await without(5);
			(await past(0)).bring([fact(6)]);
			await vi.advanceTimersByTimeAsync(2_000);
			(await past(1)).bring(reason === 'ahead' ? [] : [fact(90)], reach);
			await settle();
			expect(resets).toEqual([`${reason} at ${reach.head}`]);
			expect(page.live.gap?.reason).toBe(reason);
			expect(seen).toEqual([6]);
			await vi.advanceTimersByTimeAsync(2_000);
			const { journal } = { journal: 'j', ...reach };
			(await past(2)).bring([fact(reach.head + 1)], { journal });
			await settle();
			expect(seen).toEqual([6, reach.head + 1]);
			leave();
			await settle();
			const resumed = page.server.last.query.get('after');
			expect(resumed, 'the stream goes on from there').toBe(`${journal}-${reach.head + 1}`);
		});
	}

	it('backs off while the server does not answer, says so, and is live again', async () => {
		await without(5);
		const waits: number[] = [];
		for (let n = 0; n < 3; n++) {
			(await past(n)).refuse(502);
			await settle();
			const { status } = page.live;
			waits.push(status.kind === 'reconnecting' ? status.at - Date.now() : 0);
			await vi.advanceTimersByTimeAsync(4_000);
		}
		expect(waits.map((ms) => Math.round(ms / 100) * 100)).toEqual([500, 1_000, 2_000]);
		expect(page.live.downSince).toBeDefined();
		(await past(3)).bring([], { head: 5 });
		await settle();
		expect(page.live.status.kind).toBe('live');
		expect(page.live.downSince).toBeUndefined();
		for (let n = 4; n < 10; n++) {
			await vi.advanceTimersByTimeAsync(2_000);
			(await past(n)).bring([], { head: 5 });
		}
		await vi.advanceTimersByTimeAsync(2_000);
		(await past(10)).refuse(502);
		await vi.advanceTimersByTimeAsync(600);
		expect(page.server.pages, 'the first failure of a new row').toHaveLength(12);
	});

	it('stops at 401', async () => {
		await without(5);
		(await past(0)).refuse(401);
		await vi.advanceTimersByTimeAsync(600_000);
		expect(page.live.status.kind).toBe('signed_out');
		expect(page.server.pages).toHaveLength(1);
	});

	it('gives up an answer that does not come', async () => {
		await without(5);
		expect((await past(0)).signal.aborted).toBe(false);
		await vi.advanceTimersByTimeAsync(36_000);
		expect((await past(0)).signal.aborted).toBe(true);
		expect(page.server.pages).toHaveLength(2);
	});

	it('asks no more once it is closed, or nobody looks at it', async () => {
		await without(5);
		(await past(0)).bring([], { head: 5 });
		await settle();
		look('hidden');
		await vi.advanceTimersByTimeAsync(9_000);
		const before = page.server.pages.length;
		expect(before).toBeGreaterThan(1);
		await vi.advanceTimersByTimeAsync(2_000);
		await vi.advanceTimersByTimeAsync(600_000);
		expect(page.server.pages).toHaveLength(before);
		look('visible');
		await seated();
		expect(page.server.pages).toHaveLength(before + 1);
		page.close();
		await vi.advanceTimersByTimeAsync(600_000);
		expect(page.server.pages).toHaveLength(before + 1);
	});
});
