// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { runs } from './ansi';
import { changedAtStart, shown } from './filter';
import { type Line, toLine } from './line';
import { formatRange, parseRange, select } from './range';
import { find, mark } from './search';

const line = (id: number, text: string, stream: 'stdout' | 'stderr' = 'stdout'): Line =>
	toLine({ id, time: '2026-03-27T22:30:25.123Z', stream, step: 'start', line: text });

describe('search', () => {
	const lines = [line(1, 'Error one'), line(2, 'fine'), line(3, '\x1b[31mer\x1b[0mror two')];

	it('finds text in any case, across colours, and takes it literally', () => {
		expect(find(lines, 'ERROR').ids).toEqual([1, 3]);
		expect(find([...lines, line(4, 'a.b (c)')], '.b (').ids).toEqual([4]);
		expect(find(lines, '.*').ids).toEqual([]);
	});

	it('looks only through new lines when it goes on, and forgets those that went', () => {
		const first = find(lines, 'error');
		const later = [...lines.slice(1), line(4, 'no match'), line(5, 'error three')];
		expect(find(later, 'error', first).ids).toEqual([3, 5]);
	});

	it('looks anew when older lines came, or the text changed', () => {
		const first = find(lines, 'error');
		expect(find([line(0, 'error zero'), ...lines], 'error', first).ids).toEqual([0, 1, 3]);
		expect(find(lines, 'fine', first).ids).toEqual([2]);
	});

	it('marks a match that spans colours, and keeps all text', () => {
		const marked = mark(runs('an \x1b[31mer\x1b[0mror here'), 'error');
		expect(marked.map(({ text, match }) => [text, match])).toEqual([
			['an ', false],
			['er', true],
			['ror', true],
			[' here', false],
		]);
	});
});

describe('filters', () => {
	const lines = [line(1, 'ok'), line(2, 'warning: x', 'stderr'), line(3, 'error: y')];

	it('show lines of a level or a louder one, of one stream, of one step', () => {
		const ids = (filter: Parameters<typeof shown>[1]) => shown(lines, filter).map(({ id }) => id);
		expect(ids({ least: 'warn', stream: 'all', step: undefined })).toEqual([2, 3]);
		expect(ids({ least: 'info', stream: 'stderr', step: undefined })).toEqual([2]);
		expect(ids({ least: 'info', stream: 'all', step: 'pull' })).toEqual([]);
	});

	it('tell lines that came or went at the start from all other changes', () => {
		expect(changedAtStart(lines.slice(1), lines)).toBe(true);
		expect(changedAtStart(lines, lines.slice(1))).toBe(true);
		expect(changedAtStart(lines, [...lines, line(4, 'z')])).toBe(false);
		expect(changedAtStart([], lines)).toBe(false);
	});
});

describe('a link to lines', () => {
	it('names one line or a range, and nothing else', () => {
		expect(parseRange('4711')).toEqual({ from: 4711, to: 4711 });
		expect(parseRange('20-10')).toEqual({ from: 10, to: 20 });
		expect(parseRange('x')).toBeUndefined();
		expect(parseRange(null)).toBeUndefined();
		expect(formatRange({ from: 10, to: 20 })).toBe('10-20');
	});

	it('grows with shift', () => {
		expect(select({ from: 5, to: 5 }, 9, true)).toEqual({ from: 5, to: 9 });
		expect(select({ from: 5, to: 5 }, 9, false)).toEqual({ from: 9, to: 9 });
	});
});
