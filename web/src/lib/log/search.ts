import type { Run } from './ansi';
import type { Line } from './line';

/** Which lines contain a text. */
export interface Found {
	query: string;
	/** Ids, ascending. */
	ids: readonly number[];
	/** Everything from the first to this line has been looked at. */
	from: number;
	upTo: number;
}

export function pattern(query: string, flags = 'i'): RegExp {
	return new RegExp(query.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), flags);
}

/** Looks through the lines; with the previous result only through new ones. */
export function find(lines: readonly Line[], query: string, previous?: Found): Found {
	const first = lines[0]?.id ?? 0;
	const upTo = lines.at(-1)?.id ?? 0;
	if (query === '') return { query, ids: [], from: first, upTo };
	const goesOn = previous?.query === query && previous.from <= first && previous.upTo >= first;
	const known = goesOn ? previous.ids.filter((id) => id >= first) : [];
	const fresh = goesOn ? lines.slice(after(lines, previous.upTo)) : lines;
	const wanted = pattern(query);
	const ids = fresh.filter((line) => wanted.test(line.text)).map((line) => line.id);
	return { query, ids: [...known, ...ids], from: first, upTo };
}

/** Index of the first line with a greater id. */
export function after(lines: readonly Pick<Line, 'id'>[], id: number): number {
	let [low, high] = [0, lines.length];
	while (low < high) {
		const middle = (low + high) >> 1;
		if ((lines[middle]?.id ?? Infinity) <= id) low = middle + 1;
		else high = middle;
	}
	return low;
}

/** A run with what the search found in it. */
export interface MarkedRun extends Run {
	match: boolean;
}

/** Cuts runs where matches begin and end; a match may span runs. */
export function mark(runs: readonly Run[], query: string): MarkedRun[] {
	if (query === '') return runs.map((run) => ({ ...run, match: false }));
	const text = runs.map((run) => run.text).join('');
	const spans = [...text.matchAll(pattern(query, 'gi'))].map(
		({ index, 0: { length } }) => [index, index + length] as const,
	);
	const marked: MarkedRun[] = [];
	let start = 0;
	for (const run of runs) {
		marked.push(...cut(run, start, spans));
		start += run.text.length;
	}
	return marked;
}

function cut(run: Run, start: number, spans: readonly (readonly [number, number])[]): MarkedRun[] {
	const end = start + run.text.length;
	const pieces: MarkedRun[] = [];
	let at = start;
	const add = (to: number, match: boolean) => {
		if (to > at) pieces.push({ ...run, text: run.text.slice(at - start, to - start), match });
		at = Math.max(at, to);
	};
	for (const [from, to] of spans) {
		if (to <= start || from >= end) continue;
		add(Math.max(from, start), false);
		add(Math.min(to, end), true);
	}
	add(end, false);
	return pieces;
}
