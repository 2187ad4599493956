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

	it('get the log lines of their deploy and of no other', async () => {
		const facts = listener(page.live, 5);
		const log = listener(page.live, 5, 17);
		await settle();
		page.server.last.accept(5, true);
		await settle();
		page.server.changes[0]?.accept(5);
		await settle();
		page.server.last.logs(17, 6).logs(18, 7).facts(8);
		await settle();
		expect(facts.seen).toEqual([8]);
		expect(log.seen).toEqual([6, 8]);
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
