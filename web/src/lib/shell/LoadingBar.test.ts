import { render, screen } from '@testing-library/svelte';
import { tick } from 'svelte';
import { SvelteMap } from 'svelte/reactivity';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import LoadingBar from './LoadingBar.svelte';

/** Where the reader is on the way to. */
const way = new SvelteMap<'to', object>();
vi.mock('$app/state', () => ({
	navigating: {
		get to() {
			return way.get('to') ?? null;
		},
	},
}));

beforeEach(() => {
	way.clear();
	vi.useFakeTimers();
	render(LoadingBar);
});
afterEach(() => vi.useRealTimers());

const bar = () => screen.queryByRole('progressbar');

async function leave() {
	way.set('to', {});
	await tick();
}

async function arrive() {
	way.clear();
	await tick();
}

it('a page that takes its time is said to be on its way, until it is there', async () => {
	await leave();
	await vi.advanceTimersByTimeAsync(149);
	expect(bar()).toBeNull();
	await vi.advanceTimersByTimeAsync(1);
	expect(bar()).toBeVisible();
	await arrive();
	expect(bar()).toBeNull();
});

it('a page that is there at once shows no bar', async () => {
	await leave();
	await vi.advanceTimersByTimeAsync(100);
	await arrive();
	await vi.advanceTimersByTimeAsync(1_000);
	expect(bar()).toBeNull();
});
