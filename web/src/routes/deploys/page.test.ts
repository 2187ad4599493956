import { render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import Page from './+page.svelte';

const page = vi.hoisted(() => ({ url: new URL('http://x/deploys') }));
vi.mock('$app/state', () => ({ page }));
vi.mock('$lib/live/live.svelte', () => ({
	getLive: () => ({ status: { kind: 'live' }, watch: () => () => {} }),
}));

beforeEach(() => {
	vi.stubGlobal('fetch', async () => Response.json({ items: [], as_of: { journal: 'j', id: 1 } }));
});
afterEach(() => vi.unstubAllGlobals());

it('says how to make a deploy where there is none at all', async () => {
	page.url = new URL('http://x/deploys');
	render(Page);
	expect(await screen.findByText(/There are no deploys yet/)).toBeVisible();
	expect(screen.getByText('tiny-forge deploy shop --follow')).toBeVisible();
});

it('offers no command for making a deploy that failed', async () => {
	page.url = new URL('http://x/deploys?status=failed');
	render(Page);
	expect(await screen.findByText('No deploy has failed.')).toBeVisible();
	expect(screen.queryByText(/tiny-forge deploy/)).toBeNull();
});
