import { render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { HeldPorts, Instance, LaneView, Spec } from '$lib/api/schema';
import ProjectPage from './ProjectPage.svelte';

vi.mock('$app/navigation', () => ({ goto: vi.fn(), beforeNavigate: vi.fn() }));
vi.mock('$lib/live/live.svelte', () => ({
	getLive: () => ({ status: { kind: 'live' }, watch: () => () => {} }),
}));

let lane: LaneView;

beforeEach(() => {
	vi.stubGlobal('fetch', async ({ url }: Request) => {
		const as_of = { journal: 'j', id: 10 };
		if (!url.endsWith('/api/projects/shop')) return Response.json({ items: [], as_of });
		return Response.json({ name: 'shop', stages: [lane], as_of });
	});
});
afterEach(() => vi.unstubAllGlobals());

/** It has been saved anew since the deploy that serves. */
const saved: Spec = {
	image: 'shop:1',
	ports: [{ host: 9090, container: 80 }],
	domains: [{ name: 'new.example', port: 4000 }],
};
const instance: Partial<Instance> = {
	id: 'c1',
	name: 'shop-prod-1-0',
	generation: 1,
	status: 'running',
	health: 'healthy',
	ports: [],
};

function open(held?: HeldPorts, stage = 'prod'): void {
	const instances = [instance as Instance];
	lane = { stage, spec: saved, generation: 1, held, queued: 0, instances };
	render(ProjectPage, { name: 'shop', stage });
}

it('shows what leads to the instance that serves, not what the next deploy would change', async () => {
	const domains = [{ name: 'old.example', port: 3000 }];
	open({ ports: [{ host: 8080, container: 80 }], domains });
	const told = '8080 → 80 https://old.example → 3000 held by tiny-forge';
	expect(await screen.findByTestId('held')).toHaveTextContent(told);
	expect(screen.getAllByRole('link', { name: /^https:/ })).toHaveLength(1);
	const row = (label: string) => screen.getByText(label).nextElementSibling;
	expect(row('Ports')).toHaveTextContent('9090 → 80');
	expect(row('Domains')).toHaveTextContent('new.example → 4000');
	expect(row('Held by')).toHaveTextContent('tiny-forge');
});

it('shows nothing as held before the deploy that is to hold it', async () => {
	open();
	expect(await screen.findByText('shop-prod-1-0')).toBeVisible();
	expect(screen.getByText('new.example → 4000')).toBeVisible();
	expect(screen.queryByTestId('held')).toBeNull();
});

const COMMANDS = { prod: 'deploy shop --follow', staging: 'deploy shop --stage staging --follow' };
for (const [stage, command] of Object.entries(COMMANDS)) {
	it(`offers the command that deploys ${stage}, and no other stage`, async () => {
		open(undefined, stage);
		expect(await screen.findByText(`tiny-forge ${command}`)).toBeVisible();
	});
}
