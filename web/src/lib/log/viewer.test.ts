import { expect, it } from 'vitest';
import type { LogLine, StepName } from '$lib/api/schema';
import { Log } from './log.svelte';
import { Viewer } from './viewer.svelte';

const line = (id: number, text: string, step: StepName = 'start'): LogLine => ({
	id,
	time: '2026-03-27T22:30:25.123Z',
	stream: 'stdout',
	step,
	line: text,
});

function viewer(step?: StepName) {
	const log = new Log();
	log.append([line(1, 'error: a', 'pull'), line(2, 'fine'), line(3, 'error: b'), line(4, 'c')]);
	return { log, viewer: new Viewer(log, () => step) };
}

it('finds and counts only among the lines that are shown', () => {
	const { viewer: all } = viewer();
	all.query = 'error';
	expect([all.matches, all.errors]).toEqual([
		[1, 3],
		[1, 3],
	]);
	const { viewer: start } = viewer('start');
	start.query = 'error';
	expect([start.matches, start.errors]).toEqual([[3], [3]]);
	start.least = 'error';
	expect(start.lines.map(({ id }) => id)).toEqual([3]);
});

it('goes on searching as lines come', () => {
	const { log, viewer: shown } = viewer();
	shown.query = 'error';
	expect(shown.matches).toEqual([1, 3]);
	log.append([line(5, 'ERROR: d')]);
	expect(shown.matches).toEqual([1, 3, 5]);
});

it('walks through matches in both directions, around the end', () => {
	const { viewer: shown } = viewer();
	shown.query = 'error';
	expect(shown.neighbour(shown.matches, 1)).toBe(1);
	shown.current = 3;
	expect(shown.neighbour(shown.matches, 1)).toBe(1);
	expect(shown.neighbour(shown.matches, -1)).toBe(1);
	expect(shown.position).toBe(1);
	expect(shown.neighbour([], 1)).toBeUndefined();
});

it('links to the match that was jumped to, else to the first line from the top on', () => {
	const { log, viewer: shown } = viewer();
	log.note('resumed, 1 line recovered');
	log.append([line(5, 'd')]);
	expect(shown.linkable(1)).toBe(2);
	expect(shown.linkable(4), 'nobody can link to a note').toBe(5);
	expect(shown.linkable(6)).toBeUndefined();
	shown.current = 3;
	expect(shown.linkable(0)).toBe(3);
	shown.current = 4;
	shown.least = 'error';
	expect(shown.linkable(0), 'what is filtered out is not looked at').toBe(1);
});
