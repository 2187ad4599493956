import { describe, expect, it } from 'vitest';
import { backoffMs } from './backoff';

describe('the wait before a new try', () => {
	it('lies between half of its limit and all of it', () => {
		expect(backoffMs(0, () => 0)).toBe(250);
		expect(backoffMs(0, () => 1)).toBe(500);
		expect(backoffMs(3, () => 0)).toBe(2_000);
		expect(backoffMs(3, () => 1)).toBe(4_000);
	});

	it('never exceeds thirty seconds, however many tries failed', () => {
		for (const attempt of [6, 10, 100, 5_000]) {
			expect(backoffMs(attempt, () => 1)).toBe(30_000);
			expect(backoffMs(attempt, () => 0)).toBe(15_000);
		}
	});

	it('differs from tab to tab', () => {
		const waits = new Set(Array.from({ length: 20 }, () => backoffMs(4)));
		expect(waits.size).toBeGreaterThan(15);
	});
});
