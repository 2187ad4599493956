// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { type Follow, following, next, type Signal } from './follow';

const scrolled = (how: Partial<Signal & { kind: 'scrolled' }>): Signal => ({
	kind: 'scrolled',
	byUser: true,
	up: false,
	atEnd: false,
	...how,
});
const after = (start: Follow, ...signals: Signal[]) => signals.reduce(next, start);
const paused: Follow = { kind: 'paused', unseen: 0 };

describe('following the end of a log', () => {
	it('goes on while lines come and the program scrolls', () => {
		const end = after(
			following,
			{ kind: 'grew', lines: 10 },
			scrolled({ byUser: false, atEnd: true }),
			scrolled({ byUser: false, up: true }),
		);
		expect(end).toEqual(following);
	});

	it('pauses when the reader scrolls up, even before the view has moved', () => {
		expect(after(following, scrolled({ up: true }))).toEqual(paused);
		expect(after(following, { kind: 'pulled_up' })).toEqual(paused);
	});

	it('pauses when the reader looks at a match or a linked line', () => {
		expect(after(following, { kind: 'held' })).toEqual(paused);
	});

	it('does not pause for a bounce at the end', () => {
		expect(after(following, scrolled({ up: true, atEnd: true }))).toEqual(following);
	});
});

describe('a reader who has paused', () => {
	it('is told how many lines came', () => {
		const end = after(paused, { kind: 'grew', lines: 40 }, { kind: 'grew', lines: 2 });
		expect(end).toEqual({ kind: 'paused', unseen: 42 });
	});

	it('keeps the count while scrolling about', () => {
		const counted: Follow = { kind: 'paused', unseen: 42 };
		expect(after(counted, scrolled({ up: true }), { kind: 'pulled_up' }, scrolled({}))).toEqual(
			counted,
		);
	});

	it('is never taken along by the program, not even at the end', () => {
		expect(after(paused, scrolled({ byUser: false, atEnd: true }))).toEqual(paused);
	});

	it('follows again after scrolling down to the end', () => {
		expect(after(paused, scrolled({ atEnd: true }))).toEqual(following);
	});

	it('does not follow again while scrolling up from the end', () => {
		expect(after(paused, scrolled({ up: true, atEnd: true }))).toEqual(paused);
	});

	it('follows again with the button', () => {
		expect(after({ kind: 'paused', unseen: 7 }, { kind: 'resumed' })).toEqual(following);
	});
});
