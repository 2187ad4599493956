import { cleanup, render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { fact } from '$lib/live/fake-events';
import { Live } from '$lib/live/live.svelte';
import WithLive from '$lib/live/WithLive.svelte';
import RecentEvents from './RecentEvents.svelte';

let answers: boolean;

beforeEach(() => {
	vi.useFakeTimers();
	answers = false;
	vi.stubGlobal('fetch', async () => {
		if (!answers) return Response.json({ detail: 'it starts', status: 503 }, { status: 503 });
		return Response.json({ items: [fact(7)], as_of: { journal: 'j', id: 7 } });
	});
});
afterEach(() => {
	cleanup();
	vi.useRealTimers();
	vi.unstubAllGlobals();
});

it('events that could not be loaded are asked for again as soon as the server is back', async () => {
	const live = new Live();
	live.status = { kind: 'reconnecting', at: Date.now() + 60_000 };
	render(WithLive, { live, component: RecentEvents });
	await vi.advanceTimersByTimeAsync(60_000);
	expect(screen.getByRole('alert')).toHaveTextContent('it starts');
	answers = true;
	live.status = { kind: 'live' };
	await vi.advanceTimersByTimeAsync(20);
	expect(screen.queryByRole('alert')).toBeNull();
	expect(screen.getByRole('listitem')).toBeVisible();
});
