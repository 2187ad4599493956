import { render, screen } from '@testing-library/svelte';
import { tick } from 'svelte';
import { beforeEach, expect, it, vi } from 'vitest';
import { Live } from '$lib/live/live.svelte';
import WithLive from '$lib/live/WithLive.svelte';
import ErrorPage from './ErrorPage.svelte';

const { invalidateAll, page } = vi.hoisted(() => ({
	invalidateAll: vi.fn(),
	page: {
		status: 503,
		error: { message: 'the server does not answer' },
		route: { id: '/deploys/[id]' },
		url: new URL('http://x/deploys/7'),
	},
}));
vi.mock('$app/navigation', () => ({ invalidateAll }));
vi.mock('$app/state', () => ({ page }));

let live: Live;

beforeEach(() => {
	invalidateAll.mockReset();
	live = new Live();
	live.status = { kind: 'reconnecting', at: Date.now() + 60_000 };
});

async function show(status: number) {
	page.status = status;
	render(WithLive, { live, component: ErrorPage });
	await tick();
}

it('a page that could not be loaded is loaded as soon as the server is back', async () => {
	await show(503);
	expect(screen.getByText('the server does not answer')).toBeVisible();
	expect(invalidateAll).not.toHaveBeenCalled();
	live.status = { kind: 'live' };
	await tick();
	expect(invalidateAll).toHaveBeenCalledOnce();
});

it('a page that could not be loaded is tried again when the reader wants', async () => {
	await show(500);
	screen.getByRole('button', { name: 'Try again' }).click();
	expect(invalidateAll).toHaveBeenCalledOnce();
});

it('what is not there is not asked for again', async () => {
	await show(404);
	live.status = { kind: 'live' };
	await tick();
	expect(invalidateAll).not.toHaveBeenCalled();
	expect(screen.queryByRole('button')).toBeNull();
});
