import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Event } from '$lib/api/schema';
import type { Watch } from '$lib/live/live.svelte';
import Deploys from './Deploys.svelte';

const server = { watches: [] as Watch[], journal: 'j', newest: 100 };

vi.mock('$lib/live/live.svelte', () => ({
	getLive: () => ({
		status: { kind: 'live' },
		watch: (watch: Watch) => (server.watches.push(watch), () => {}),
	}),
}));

beforeEach(() => {
	Object.assign(server, { watches: [], journal: 'j', newest: 100 });
	vi.stubGlobal('fetch', async ({ url }: Request) => {
		const { searchParams } = new URL(url);
		const first = Number(searchParams.get('cursor') ?? server.newest + 1) - 1;
		const ids = Array.from({ length: Math.min(50, first) }, (_, n) => first - n);
		const items = ids.map((id) => ({
			id,
			project: 'shop',
			stage: 'prod',
			generation: id,
			status: 'succeeded',
			image: `shop:${id}`,
			actor: { kind: 'user', name: 'local' },
			created_at: '2026-03-27T22:30:25.123Z',
			steps: [],
		}));
		const last = ids.at(-1) ?? 1;
		const next = last > 1 ? `${last}` : null;
		return Response.json({ items, next, as_of: { journal: server.journal, id: server.newest } });
	});
});
afterEach(() => vi.unstubAllGlobals());

const shown = () => screen.getAllByText(/^shop:\d+$/).map(({ textContent }) => textContent);

it('no deploy goes missing between the newest page and the older ones', async () => {
	render(Deploys, { none: 'None.' });
	await screen.findByText('shop:100');
	await userEvent.setup().click(screen.getByRole('button', { name: 'Load older deploys' }));
	await screen.findByText('shop:1');
	server.newest = 103;
	const event = { id: server.newest, type: 'deploy_status', payload: { project: 'shop' } } as Event;
	server.watches.at(-1)?.onEvents([event]);
	await screen.findByText('shop:103');
	expect(shown()).toHaveLength(103);
});

it('where more came than a page holds, what lies between is loaded again', async () => {
	render(Deploys, { none: 'None.' });
	await screen.findByText('shop:100');
	const older = () => screen.getByRole('button', { name: 'Load older deploys' });
	await userEvent.setup().click(older());
	await screen.findByText('shop:1');
	server.newest = 300;
	const event = { id: server.newest, type: 'deploy_status', payload: { project: 'shop' } } as Event;
	server.watches.at(-1)?.onEvents([event]);
	await screen.findByText('shop:300');
	expect(shown()).toHaveLength(50);
	await userEvent.setup().click(older());
	await screen.findByText('shop:201');
	expect(shown()).toHaveLength(100);
});
