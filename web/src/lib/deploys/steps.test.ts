// @vitest-environment node
import { expect, it } from 'vitest';
import { isBusy, toneOf } from '$lib/ui/tone';
import { hasEnded, stepsDone, stepsOf, UNDER_WAY } from './steps';

it('connections are drained where ports are held, and nowhere else', () => {
	expect(stepsOf('port-hold').slice(5)).toEqual(['replace', 'drain', 'bake', 'retire']);
	expect(stepsOf('start-first')).not.toContain('drain');
	expect(stepsOf('stop-first')).not.toContain('drain');
	expect(stepsOf(undefined)).toEqual(stepsOf('start-first'));
});

it('a deploy goes forward in each strategy', () => {
	expect(stepsDone(stepsOf('port-hold'), 'draining')).toBe(6);
	expect(stepsDone(stepsOf('port-hold'), 'baking')).toBe(7);
	expect(stepsDone(stepsOf('port-hold'), 'succeeded')).toBe(9);
	const stopFirst = stepsOf('stop-first');
	expect(stepsDone(stopFirst, 'replacing')).toBe(3);
	expect(stepsDone(stopFirst, 'starting')).toBe(4);
});

it('on its way back a deploy takes none of the steps ahead', () => {
	expect(stepsDone(stepsOf('stop-first'), 'restoring', 'restore')).toBeUndefined();
	expect(stepsDone(stepsOf('port-hold'), 'rolling_back', 'rollback')).toBeUndefined();
});

it('a deploy that drains is under way', () => {
	expect(UNDER_WAY.split(',')).toContain('draining');
	expect(hasEnded('draining')).toBe(false);
	expect(toneOf('draining')).toBe('info');
	expect(isBusy('draining')).toBe(true);
});
