import { describe, expect, it, vi } from 'vitest';
import { fact } from './fake-events';
import { NOT_FOUND, snapshot } from './fake-snapshot';
import { settle, tab } from './harness';

const page = tab();

describe('a snapshot of what is not there', () => {
	it('is shown as soon as an event tells of it', async () => {
		page.server.last.accept(5);
		await settle();
		const { thing, shown } = snapshot(page.live);
		thing.fail = NOT_FOUND;
		shown.start();
		await vi.advanceTimersByTimeAsync(300);
		expect(shown.problem).toBe(NOT_FOUND);
		page.server.last.facts(7);
		await settle();
		expect(thing.loads).toBe(1);
		thing.fail = false;
		page.server.last.facts(8);
		await settle();
		expect(shown.data?.value).toBe(5);
		expect(shown.problem).toBeUndefined();
		page.server.last.facts(9);
		await settle();
		expect(thing.told).toEqual([7, 8, 9]);
	});

	it('is asked for again once the stream has begun, and waited for', async () => {
		const { thing, shown } = snapshot(page.live);
		thing.slow = true;
		thing.fail = NOT_FOUND;
		shown.start();
		page.server.last.accept(6);
		await settle();
		thing.answer();
		thing.slow = false;
		await vi.advanceTimersByTimeAsync(1_000);
		expect(thing.loads).toBe(2);
		thing.fail = false;
		page.server.last.facts(8);
		await settle();
		expect(shown.data?.value).toBe(5);
	});

	it('misses nothing that comes while the server says so', async () => {
		page.server.last.accept(5);
		await settle();
		const { thing, shown } = snapshot(page.live);
		thing.slow = true;
		thing.fail = NOT_FOUND;
		shown.start();
		page.server.last.facts(6);
		await settle();
		thing.answer();
		await settle();
		thing.fail = thing.slow = false;
		page.server.pages.at(-1)?.bring([fact(6)]);
		await vi.advanceTimersByTimeAsync(300);
		expect(shown.data?.value).toBe(5);
	});
});
