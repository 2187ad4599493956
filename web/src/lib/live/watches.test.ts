import { describe, expect, it, vi } from 'vitest';
import { listener, settle, tab } from './harness';

const page = tab();

describe('watches', () => {
	it('get only what is newer than their snapshot', async () => {
		page.server.last.accept(5);
		await settle();
		const { seen } = listener(page.live, 7);
		page.server.last.facts(6, 7, 8);
		await settle();
		expect(seen).toEqual([8]);
		expect(page.server.opened).toHaveLength(1);
	});

	it('get a frame’s worth of facts in one call', async () => {
		page.server.last.accept(5);
		await settle();
		const batches: number[] = [];
		page.live.watch({ after: 5, onEvents: (it) => batches.push(it.length), onReset: () => {} });
		page.server.last.facts(6, 7).facts(8);
		await settle();
		expect(batches).toEqual([3]);
	});

	it('reopen the stream from an older snapshot: no gap, and nothing twice for the others', async () => {
		const early = listener(page.live, 5);
		page.server.last.accept(5).facts(6, 7, 8);
		await settle();
		const late = listener(page.live, 6);
		await settle();
		expect(page.server.opened[0]?.signal.aborted).toBe(true);
		expect(page.server.last.query.get('after')).toBe('j-6');
		page.server.last.accept(8).facts(7, 8, 9);
		await settle();
		expect(early.seen).toEqual([6, 7, 8, 9]);
		expect(late.seen).toEqual([7, 8, 9]);
	});

	it('miss nothing when they come while the first stream is being opened', async () => {
		const { seen } = listener(page.live, 5);
		page.server.last.accept(7, false);
		await settle();
		expect(page.server.last.query.get('after')).toBe('j-5');
		page.server.last.accept(7).facts(6, 7);
		await settle();
		expect(seen).toEqual([6, 7]);
	});

	it('that come together share one new stream', async () => {
		page.server.last.accept(9);
		await settle();
		listener(page.live, 5, 17);
		listener(page.live, 3);
		await settle();
		expect(page.server.opened).toHaveLength(2);
		expect(page.server.last.query.get('after')).toBe('j-3');
		expect(page.server.last.query.get('logs')).toBe('17');
	});

	it('get the log lines of their deploy and of no other', async () => {
		const facts = listener(page.live, 5);
		const log = listener(page.live, 5, 17);
		await settle();
		page.server.last.accept(5, true).logs(17, 6).logs(18, 7).facts(8);
		await settle();
		expect(facts.seen).toEqual([8]);
		expect(log.seen).toEqual([6, 8]);
	});

	it('lose nothing of a narrow stream’s last chunk when they widen it', async () => {
		page.server.last.accept(5);
		await settle();
		const facts = listener(page.live, 5);
		page.server.last.facts(6);
		const log = listener(page.live, 5, 17);
		await settle();
		page.server.last.accept(6).facts(6).logs(17, 7);
		await settle();
		expect(facts.seen).toEqual([6]);
		expect(log.seen).toEqual([6, 7]);
	});

	it('hear nothing after they were stopped', async () => {
		const { seen, stop } = listener(page.live, 5);
		page.server.last.accept(5);
		await settle();
		stop();
		page.server.last.facts(6);
		await settle();
		expect(seen).toEqual([]);
	});

	it('are told when history is lost, and go on behind it', async () => {
		const { seen, resets } = listener(page.live, 5);
		await settle();
		page.server.last.accept(5).facts(6);
		await settle();
		page.server.last.end();
		await vi.advanceTimersByTimeAsync(600);
		page.server.last.accept(90, false).reset('retention', 90).facts(91);
		await settle();
		expect(resets).toEqual(['retention at 90']);
		expect(seen).toEqual([6, 91]);
		expect(page.live.gap?.reason).toBe('retention');
		page.live.dismissGap();
		expect(page.live.gap).toBeUndefined();
	});

	it('follow a restored journal though its ids are smaller', async () => {
		const { seen, resets } = listener(page.live, 500);
		await settle();
		page.server.last.accept(20, false).reset('foreign_journal', 20).facts(21);
		await settle();
		expect(resets).toHaveLength(1);
		expect(seen).toEqual([21]);
	});
});
