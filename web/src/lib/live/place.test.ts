import { describe, expect, it, vi } from 'vitest';
import { fact } from './fake-events';
import { crowd, listener, look, nth, seated, settle, tab } from './harness';
import { Live } from './live.svelte';

const page = tab({ locks: true });
const past = (n: number) => nth(page.server.pages, n);
const asks = () => page.server.pages.map(({ query }) => query.get('after'));

describe('the tabs of a browser', () => {
	it('share four streams; a fifth tab asks every two seconds, until one of them is closed', async () => {
		const others = [1, 2, 3].map(() => new Live().start());
		await settle();
		expect(page.server.opened).toHaveLength(4);
		const live = new Live();
		const close = live.start();
		const { seen } = listener(live, 5);
		await seated();
		expect(page.server.opened).toHaveLength(4);
		(await past(0)).bring([fact(6)], { head: 7 });
		await settle();
		expect(live.status).toEqual({ kind: 'live', everyMs: 2_000 });
		await vi.advanceTimersByTimeAsync(2_000);
		(await past(1)).bring([], { head: 7 });
		await vi.advanceTimersByTimeAsync(1_000);
		expect(asks()).toEqual(['5', '7']);

		others[1]?.();
		await settle();
		expect(page.server.opened).toHaveLength(5);
		expect(page.server.last.query.get('after')).toBe('j-7');
		page.server.last.accept(8).facts(8);
		await vi.advanceTimersByTimeAsync(5_000);
		expect(live.status).toEqual({ kind: 'live' });
		expect(seen).toEqual([6, 8]);
		expect(asks(), 'the stream says it all').toHaveLength(2);
		for (const end of [...others, close]) end();
		await settle();
		expect(page.locks.held, 'the first tab has its own').toBe(1);
	});

	it('leave their place to others while nobody looks at them, and when they are signed out', async () => {
		await settle();
		page.server.last.accept(5);
		await settle();
		look('hidden');
		await vi.advanceTimersByTimeAsync(11_000);
		expect(page.locks.held).toBe(0);
		look('visible');
		await settle();
		expect(page.locks.held).toBe(1);
		page.server.last.refuse(401);
		await settle();
		expect(page.locks.held).toBe(0);
		expect(page.live.status.kind).toBe('signed_out');
	});

	it('that were opened in the background are left alone soon', async () => {
		page.close();
		await settle();
		look('hidden');
		page.live = new Live();
		page.close = page.live.start();
		await vi.advanceTimersByTimeAsync(11_000);
		expect(page.server.last.signal.aborted).toBe(true);
		expect(page.locks.held).toBe(0);
	});

	it('take one place of several that become free together', async () => {
		page.close();
		await settle();
		const leave = crowd(page.locks);
		page.close = page.live.start();
		await seated();
		leave();
		await settle();
		expect(page.locks.held).toBe(1);
		expect(page.server.opened.filter(({ signal }) => !signal.aborted)).toHaveLength(1);
	});

	it('do not ask sooner of a server that is away because a place is free', async () => {
		await settle();
		for (let i = 0; i < 8; i++) {
			page.server.last.refuse(502);
			await vi.advanceTimersByTimeAsync(30_100);
		}
		page.close();
		const leave = crowd(page.locks);
		page.close = page.live.start();
		await seated();
		(await past(0)).refuse(502);
		await settle();
		expect(page.live.status.kind).toBe('reconnecting');
		const before = page.server.opened.length;
		leave();
		await settle();
		expect(page.server.opened).toHaveLength(before);
		await vi.advanceTimersByTimeAsync(30_000);
		expect(page.server.opened).toHaveLength(before + 1);
	});
});
