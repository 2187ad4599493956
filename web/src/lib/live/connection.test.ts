import { describe, expect, it, vi } from 'vitest';
import { listener, look, settle, tab } from './harness';

const page = tab();

describe('the connection', () => {
	it('is live once the server has said hello', async () => {
		expect(page.live.status.kind).toBe('connecting');
		page.server.last.accept(5);
		await settle();
		expect(page.live.status.kind).toBe('live');
	});

	it('resumes by id after the stream has ended', async () => {
		const { seen } = listener(page.live, 5);
		await settle();
		page.server.last.accept(5).facts(6, 7);
		await settle();
		page.server.last.end();
		await settle();
		expect(page.live.status.kind).toBe('reconnecting');
		await vi.advanceTimersByTimeAsync(500);
		expect(page.server.last.query.get('after')).toBe('j-7');
		page.server.last.accept(9).facts(8, 9);
		await settle();
		expect(seen).toEqual([6, 7, 8, 9]);
	});

	it('knows which events there were when the server said hello', async () => {
		page.server.last.accept(5).facts(6);
		await settle();
		expect(page.live.head?.id).toBe(5);
		page.server.last.end();
		await vi.advanceTimersByTimeAsync(600);
		page.server.last.accept(9).facts(7, 8, 9, 10);
		await settle();
		expect(page.live.head?.id).toBe(9);
	});

	it('resumes from the last bookmark, not from the last fact', async () => {
		listener(page.live, 5);
		page.server.last.accept(5).facts(6).bookmark(40);
		await settle();
		page.server.last.end();
		await vi.advanceTimersByTimeAsync(600);
		expect(page.server.last.query.get('after')).toBe('j-40');
	});

	it('is left to other tabs while nobody looks, and goes on where it was', async () => {
		const { seen } = listener(page.live, 5);
		await settle();
		page.server.last.accept(5).facts(6);
		await settle();
		look('hidden');
		await vi.advanceTimersByTimeAsync(5_000);
		look('visible');
		await vi.advanceTimersByTimeAsync(20_000);
		expect(page.server.last.signal.aborted).toBe(false);

		look('hidden');
		await vi.advanceTimersByTimeAsync(11_000);
		expect(page.server.last.signal.aborted).toBe(true);
		await vi.advanceTimersByTimeAsync(600_000);
		expect(page.server.opened).toHaveLength(1);
		look('visible');
		await settle();
		expect(page.server.last.query.get('after')).toBe('j-6');
		page.server.last.accept(8).facts(7, 8);
		await settle();
		expect(page.live.status.kind).toBe('live');
		expect(seen).toEqual([6, 7, 8]);
	});

	it('backs off while the server does not answer, and says when it tries again', async () => {
		const tries: number[] = [];
		for (let i = 0; i < 4; i++) {
			page.server.last.refuse(502);
			await settle();
			const { status } = page.live;
			tries.push(status.kind === 'reconnecting' ? status.at - Date.now() + 20 : -1);
			await vi.advanceTimersByTimeAsync(8_000);
		}
		expect(tries.map((ms) => Math.round(ms / 100) * 100)).toEqual([500, 1_000, 2_000, 4_000]);
	});

	it('stays away as long as a busy server asks for', async () => {
		page.server.last.refuse(503, { 'retry-after': '20' });
		await vi.advanceTimersByTimeAsync(19_000);
		expect(page.server.opened).toHaveLength(1);
		await vi.advanceTimersByTimeAsync(2_000);
		expect(page.server.opened).toHaveLength(2);
	});

	it('comes back when a server that stops has asked for it, and only once so late', async () => {
		page.server.last.accept(5).send('retry: 4700\n: the server is stopping\n\n').end();
		await vi.advanceTimersByTimeAsync(4_600);
		expect(page.server.opened).toHaveLength(1);
		await vi.advanceTimersByTimeAsync(200);
		expect(page.server.opened).toHaveLength(2);
		page.server.last.refuse(502);
		await vi.advanceTimersByTimeAsync(1_100);
		expect(page.server.opened).toHaveLength(3);
	});

	it('stops at 401', async () => {
		page.server.last.refuse(401);
		await vi.advanceTimersByTimeAsync(600_000);
		expect(page.live.status.kind).toBe('signed_out');
		expect(page.server.opened).toHaveLength(1);
	});

	it('stays signed out, however often somebody looks again', async () => {
		page.server.last.refuse(401);
		await settle();
		for (const away of [1_000, 11_000, 600_000]) {
			look('hidden');
			await vi.advanceTimersByTimeAsync(away);
			expect(page.live.status.kind).toBe('signed_out');
			look('visible');
			await settle();
			expect(page.live.status.kind).toBe('signed_out');
		}
		dispatchEvent(new window.Event('online'));
		expect(page.server.opened).toHaveLength(1);
	});

	it('gives up a stream that has been silent for too long', async () => {
		page.server.last.accept(5);
		await vi.advanceTimersByTimeAsync(30_000);
		page.server.last.bookmark(5);
		await vi.advanceTimersByTimeAsync(34_000);
		expect(page.live.status.kind).toBe('live');
		await vi.advanceTimersByTimeAsync(2_000);
		expect(page.server.opened[0]?.signal.aborted).toBe(true);
		expect(page.server.opened).toHaveLength(2);
	});

	const RETURNS = {
		'the network does': () => dispatchEvent(new window.Event('online')),
		'somebody looks': () => look('visible'),
	};
	for (const [what, happens] of Object.entries(RETURNS)) {
		it(`comes back at once when ${what}`, async () => {
			for (let i = 0; i < 8; i++) {
				page.server.last.refuse(502);
				await vi.advanceTimersByTimeAsync(30_100);
			}
			page.server.last.refuse(502);
			await settle();
			const before = page.server.opened.length;
			happens();
			expect(page.server.opened).toHaveLength(before + 1);
		});

		it(`takes a stream for dead that the machine has slept through when ${what}`, async () => {
			page.server.last.accept(5);
			await settle();
			happens();
			expect(page.server.opened).toHaveLength(1);
			// Asleep, no timer runs.
			vi.setSystemTime(Date.now() + 36_000);
			happens();
			happens();
			expect(page.server.opened).toHaveLength(2);
			expect(page.live.status.kind).toBe('connecting');
			page.server.last.accept(9);
			await settle();
			expect(page.live.status.kind).toBe('live');
		});
	}

	it('ends with the page', async () => {
		page.server.last.accept(5);
		await settle();
		page.close();
		expect(page.server.last.signal.aborted).toBe(true);
		await vi.advanceTimersByTimeAsync(600_000);
		expect(page.server.opened).toHaveLength(1);
	});
});
