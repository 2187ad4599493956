import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Delivery, Plugin } from '$lib/api/schema';
import { delivery, plugin } from './example';
import PluginView from './PluginView.svelte';

vi.mock('$app/navigation', () => ({ goto: () => {} }));
vi.mock('$lib/live/live.svelte', () => ({
	getLive: () => ({ status: { kind: 'live' }, watch: () => () => {} }),
}));

let shown: Plugin;
/** Newest first. */
let deliveries: Delivery[];

const many = (from: number, to: number, change: Partial<Delivery>) =>
	Array.from({ length: to - from + 1 }, (_, n) => delivery({ id: `d${from + n}`, ...change }));

function listed(query: URLSearchParams) {
	const status = query.get('status');
	const found = deliveries.filter((one) => !status || one.status === status);
	const limit = Number(query.get('limit'));
	return { items: found.slice(0, limit), next: found.length > limit ? 'older' : null };
}

beforeEach(() => {
	[shown, deliveries] = [plugin('slack'), []];
	vi.stubGlobal('fetch', async ({ url }: Request) => {
		const { pathname, searchParams } = new URL(url);
		const answer = pathname.endsWith('/deliveries')
			? listed(searchParams)
			: { items: pathname.endsWith('/plugins') ? [shown] : [] };
		return Response.json({ ...answer, as_of: { journal: 'j', id: 5 } });
	});
});
afterEach(() => vi.unstubAllGlobals());

/** By text: of so many rows, jsdom takes a second to tell the roles. */
async function rows() {
	const heading = await screen.findByText('Deliveries');
	return within(heading.parentElement as HTMLElement).getAllByText('slack');
}

describe('the deliveries of a sink', () => {
	it('begin with its dead letters, however many came later', async () => {
		deliveries = [...many(1, 60, { status: 'delivered' }), ...many(61, 61, { status: 'dead' })];
		render(PluginView, { name: 'slack' });
		expect(await rows()).toHaveLength(51);
		expect(screen.getByText('Replay')).toBeVisible();
	});

	it('have each dead letter once', async () => {
		deliveries = many(1, 3, { status: 'dead' });
		render(PluginView, { name: 'slack' });
		expect(await rows()).toHaveLength(3);
		expect(screen.queryByText('Load older deliveries')).toBeNull();
	});

	it('reach as far back as the reader wants', async () => {
		deliveries = many(1, 60, { status: 'delivered' });
		render(PluginView, { name: 'slack' });
		expect(await rows()).toHaveLength(50);
		await userEvent.setup().click(screen.getByText('Load older deliveries'));
		await waitFor(async () => expect(await rows()).toHaveLength(60));
		expect(screen.queryByText('Load older deliveries')).toBeNull();
	});

	it('can be replayed also where its file is missing', async () => {
		shown = plugin('slack', { role: undefined, state: 'missing' });
		deliveries = [...many(1, 1, { status: 'pending' }), ...many(2, 3, { status: 'dead' })];
		render(PluginView, { name: 'slack' });
		expect(await rows()).toHaveLength(3);
		expect(screen.getByRole('button', { name: 'Replay all 2 dead letters' })).toBeVisible();
	});

	it('are not spoken of where a plugin that is no sink has none', async () => {
		shown = plugin('rules', { role: 'filter' });
		render(PluginView, { name: 'rules' });
		expect(await screen.findByRole('heading', { name: 'Permissions' })).toBeVisible();
		expect(screen.queryByRole('region', { name: 'Deliveries' })).toBeNull();
	});
});
