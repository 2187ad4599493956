import { describe, expect, it, vi } from 'vitest';
import { NOT_FOUND, snapshot } from './fake-snapshot';
import { settle, tab } from './harness';

const page = tab();

/** No request follows another at once. */
const rested = () => vi.advanceTimersByTimeAsync(300);

async function started() {
	const it = snapshot(page.live);
	const stop = it.shown.start();
	await settle();
	page.server.last.accept(5);
	await rested();
	return { ...it, stop };
}

describe('a snapshot', () => {
	it('is loaded again when an event concerns it, and not for others', async () => {
		const { thing, shown } = await started();
		expect(shown.data?.value).toBe(5);
		thing.head = 7;
		page.server.last.facts(7);
		await settle();
		expect(thing.loads).toBe(1);
		thing.head = 8;
		page.server.last.facts(8);
		await settle();
		expect(shown.data?.value).toBe(8);
	});

	it('asks once more, and not more often, for all that changed while it was asking', async () => {
		const { thing, shown } = await started();
		for (let id = 6; id < 60; id += 2) {
			thing.head = id;
			page.server.last.facts(id);
			void shown.refresh();
		}
		await vi.advanceTimersByTimeAsync(1_000);
		expect(shown.data?.value).toBe(58);
		expect(thing.loads).toBeLessThanOrEqual(4);
	});

	it('rests after each load, though every frame brings news and each load is quick', async () => {
		const { thing, shown } = await started();
		for (let id = 6; id < 46; id += 2) {
			thing.head = id;
			page.server.last.facts(id);
			await settle();
		}
		expect(thing.loads).toBeLessThanOrEqual(3);
		await rested();
		expect(shown.data?.value).toBe(44);
	});

	it('is not loaded again for what it knows already, until history was lost', async () => {
		const { thing, shown } = await started();
		thing.head = 8;
		page.server.last.facts(6);
		await rested();
		page.server.last.facts(8);
		await rested();
		expect(thing.loads).toBe(2);
		thing.head = 2;
		page.server.last.reset('foreign_journal', 2);
		await rested();
		thing.head = 4;
		page.server.last.facts(4);
		await rested();
		expect(thing.loads).toBe(4);
		expect(shown.data?.value).toBe(4);
	});

	it('does not take an answer that tells of a lost history', async () => {
		const { thing, shown } = await started();
		thing.slow = true;
		thing.head = 6;
		page.server.last.facts(6);
		await settle();
		page.server.last.reset('foreign_journal', 2);
		await settle();
		thing.answer();
		await settle();
		expect(shown.data?.value).toBe(5);
		thing.slow = false;
		thing.head = 2;
		await rested();
		expect(shown.data?.value).toBe(2);
		thing.head = 4;
		page.server.last.facts(4);
		await rested();
		expect(shown.data?.value).toBe(4);
	});

	it('rests between two loads, also where something happens meanwhile', async () => {
		const { thing, shown, stop } = await started();
		const changes = () => void [shown.refresh(), shown.refresh()];
		changes();
		await settle();
		expect(thing.loads).toBe(2);
		page.server.last.facts(10);
		await settle();
		expect(thing.loads).toBe(2);
		await vi.advanceTimersByTimeAsync(1_000);
		expect(thing.loads).toBe(3);
		changes();
		await settle();
		stop();
		await vi.advanceTimersByTimeAsync(1_000);
		expect(thing.loads).toBe(4);
	});

	it('keeps what it had when the server fails, and says why', async () => {
		const { thing, shown } = await started();
		thing.fail = true;
		await shown.refresh();
		expect(shown.data?.value).toBe(5);
		expect(shown.problem).toEqual(new Error('the store is busy'));
		thing.fail = false;
		void shown.refresh();
		await rested();
		expect(shown.problem).toBeUndefined();
	});

	it('is loaded again when history was lost, and followed from there', async () => {
		const { thing, shown } = await started();
		thing.head = 90;
		page.server.last.reset('retention', 90);
		await settle();
		expect(shown.data?.value).toBe(90);
		await rested();
		thing.head = 92;
		page.server.last.facts(92);
		await settle();
		expect(shown.data?.value).toBe(92);
	});

	it('is asked for again after a reset until it comes, less and less often', async () => {
		const { thing, shown } = await started();
		vi.mocked(Math.random).mockReturnValue(0.5);
		thing.head = 90;
		thing.fail = true;
		page.server.last.reset('retention', 90);
		await settle();
		expect(thing.loads).toBe(2);
		await vi.advanceTimersByTimeAsync(350);
		expect(thing.loads).toBe(2);
		await vi.advanceTimersByTimeAsync(10);
		expect(thing.loads).toBe(3);
		await vi.advanceTimersByTimeAsync(740);
		expect(thing.loads).toBe(3);
		thing.fail = false;
		await vi.advanceTimersByTimeAsync(20);
		expect(shown.data?.value).toBe(90);
		expect(shown.problem).toBeUndefined();
		await rested();
		thing.head = 92;
		page.server.last.facts(92);
		await settle();
		expect(shown.data?.value).toBe(92);
		await vi.advanceTimersByTimeAsync(60_000);
		expect(thing.loads).toBe(5);
	});

	it('is not asked for again by itself where the answer is final, or nobody looks any more', async () => {
		const { thing, shown, stop } = await started();
		thing.fail = NOT_FOUND;
		await shown.refresh();
		await vi.advanceTimersByTimeAsync(60_000);
		expect(thing.loads).toBe(2);
		thing.fail = true;
		await shown.refresh();
		stop();
		await vi.advanceTimersByTimeAsync(60_000);
		expect(thing.loads).toBe(3);
	});

	it('is left alone once the page is gone', async () => {
		const { thing, stop } = await started();
		stop();
		page.server.last.facts(6);
		await settle();
		expect(thing.loads).toBe(1);
	});
});
