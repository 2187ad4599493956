import { describe, expect, it, vi } from 'vitest';
import { ScrollIntent } from './intent';

function watched() {
	const intent = new ScrollIntent();
	const pulledUp = vi.fn();
	const element = document.createElement('div');
	intent.attach(pulledUp)(element);
	const wheel = (deltaY: number) => element.dispatchEvent(new WheelEvent('wheel', { deltaY }));
	return { intent, pulledUp, element, wheel };
}

describe('who scrolls a log', () => {
	it('is the reader from a gesture on, until the view stands still', () => {
		const { intent, wheel } = watched();
		expect(intent.byUser).toBe(false);
		wheel(100);
		expect(intent.byUser).toBe(true);
		intent.settled();
		expect(intent.byUser).toBe(false);
	});

	it('pulls up by wheel and keys, whatever the view does meanwhile', () => {
		const { intent, pulledUp, element, wheel } = watched();
		wheel(-100);
		expect([intent.up, pulledUp.mock.calls.length]).toEqual([true, 1]);
		element.dispatchEvent(new KeyboardEvent('keydown', { key: 'End' }));
		expect(intent.up).toBe(false);
		element.dispatchEvent(new KeyboardEvent('keydown', { key: 'PageUp' }));
		expect([intent.up, pulledUp.mock.calls.length]).toEqual([true, 2]);
	});

	it('may go either way with a finger or the scrollbar', () => {
		const { intent, element, wheel } = watched();
		wheel(-100);
		element.dispatchEvent(new Event('pointerdown'));
		expect([intent.byUser, intent.up]).toEqual([true, undefined]);
		wheel(-100);
		element.dispatchEvent(new Event('touchmove'));
		expect([intent.byUser, intent.up]).toEqual([true, undefined]);
	});
});
