import { tick } from 'svelte';
import { describe, expect, it } from 'vitest';
import type { LogLine } from '$lib/api/schema';
import { Log } from './log.svelte';

function lines(from: number, to: number): LogLine[] {
	return Array.from({ length: to - from + 1 }, (_, index) => ({
		id: from + index,
		time: '2026-03-27T22:30:25.123Z',
		stream: 'stdout',
		step: 'start',
		line: `line ${from + index}`,
	}));
}
const ids = (log: Log) => log.lines.map((line) => line.id);

describe('a log', () => {
	it('takes each id once, however snapshot and stream overlap', () => {
		const log = new Log();
		expect(log.append(lines(1, 5))).toBe(5);
		expect(log.append(lines(3, 7))).toBe(2);
		log.prepend(lines(1, 2));
		expect(ids(log)).toEqual([1, 2, 3, 4, 5, 6, 7]);
	});

	it('puts older lines before what is there', () => {
		const log = new Log();
		log.append(lines(10, 12));
		log.prepend(lines(7, 10));
		expect(ids(log)).toEqual([7, 8, 9, 10, 11, 12]);
		expect(log.cut).toBe(false);
	});

	it('loads older lines only as far as there is room, and says so', () => {
		const log = new Log(5);
		log.append(lines(10, 12));
		log.prepend(lines(1, 9));
		expect(ids(log)).toEqual([8, 9, 10, 11, 12]);
		expect(log.cut).toBe(true);
	});

	it('lets the oldest go when it grows too long, and says so', async () => {
		const log = new Log(100);
		log.append(lines(1, 105));
		await tick();
		expect(log.lines).toHaveLength(105);
		expect(log.cut).toBe(false);
		log.append(lines(106, 120));
		await tick();
		await tick();
		expect(log.lines).toHaveLength(100);
		expect(log.first).toBe(21);
		expect(log.cut).toBe(true);
	});

	it('keeps a note in its place between lines', () => {
		const log = new Log();
		log.append(lines(1, 2));
		log.note('resumed, 1 line recovered');
		log.append(lines(2, 3));
		expect(ids(log)).toEqual([1, 2, 2.5, 3]);
	});

	it('takes the next line also after two notes in a row', () => {
		const log = new Log();
		log.append(lines(1, 2));
		log.note('gap');
		log.note('resumed, 1 line recovered');
		expect(log.append(lines(3, 3))).toBe(1);
		expect(ids(log)).toEqual([1, 2, 2.5, 2.75, 3]);
	});

	it('takes 100,000 lines in batches within a second', () => {
		const log = new Log(200_000);
		const began = performance.now();
		for (let from = 1; from < 100_000; from += 1_000) log.append(lines(from, from + 999));
		expect(performance.now() - began).toBeLessThan(1_000);
		expect(log.lines).toHaveLength(100_000);
	});
});
