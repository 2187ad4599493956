import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Plugin } from '$lib/api/schema';
import { plugin } from './example';
import Permissions from './Permissions.svelte';

let asked: string[];
let reply: () => Response;

beforeEach(() => {
	asked = [];
	vi.stubGlobal('fetch', async ({ method, url }: Request) => {
		asked.push(`${method} ${url.replace(/.*\/api/, '')}`);
		return reply();
	});
});
afterEach(() => vi.unstubAllGlobals());

const show = (shown: Plugin, onchange = () => {}) =>
	render(Permissions, { plugin: shown, onchange });

const rows = () =>
	screen.getAllByRole('listitem').map((row) => row.textContent?.replace(/\s+/g, ' ').trim());

it('what a plugin asks for and does not have is shown with the lines to add', () => {
	show(
		plugin('slack', {
			asked: { http: ['https://hooks.slack.com'], secrets: ['SLACK'], store: true },
			granted: { http: ['https://hooks.slack.com'], networks: [], secrets: [] },
			missing_grants: ['secrets.SLACK = "env:SLACK"'],
		}),
	);
	expect(rows()[0]).toMatch(/hooks\.slack\.com granted/);
	expect(rows()[1]).toMatch(/SLACK asked for, not granted/);
	expect(screen.getByText('secrets.SLACK = "env:SLACK"')).toBeVisible();
});

it('of a file that nobody has configured, nothing is granted yet', () => {
	const asked = { http: ['https://ntfy.sh'], secrets: ['TOKEN'], store: true };
	show(plugin('ntfy.wasm', { state: 'not_configured', asked }));
	expect(rows()).toEqual([
		'reach https://ntfy.sh asked for',
		'secret TOKEN asked for',
		'keep state of its own asked for',
	]);
});

it('that a plugin asks for nothing is said only where it was asked', async () => {
	const { rerender } = render(Permissions, { plugin: plugin('quiet'), onchange: () => {} });
	expect(rows()).toEqual(['It asks for nothing.']);
	await rerender({ plugin: plugin('broken', { role: undefined, state: 'failed' }) });
	expect(rows()).toEqual([expect.stringMatching(/^What it asks for is not known/)]);
});

it('what a plugin asks for can be granted', async () => {
	const given = { http: ['https://ntfy.sh'], secrets: ['TOKEN'], left: [] };
	reply = () => Response.json(given, { status: 202 });
	const missing_grants = ['grants.http = ["https://ntfy.sh"]', 'secrets.TOKEN = "store:TOKEN"'];
	show(plugin('ntfy', { missing_grants }));
	const button = screen.getByRole('button', { name: 'Grant the addresses and secrets' });
	await userEvent.setup().click(button);
	expect(asked[0]).toMatch('POST /plugins/ntfy/grant');
});

it('a grant that is refused shows what the plugin asks for by now', async () => {
	const problem = { title: 'Conflict', status: 409, code: 'changed', detail: 'it asks for more' };
	reply = () => Response.json(problem, { status: 409 });
	const onchange = vi.fn();
	show(plugin('ntfy', { missing_grants: ['grants.http = ["https://ntfy.sh"]'] }), onchange);
	await userEvent.setup().click(screen.getByRole('button', { name: 'Grant the addresses' }));
	expect(await screen.findByText('it asks for more')).toBeVisible();
	expect(onchange).toHaveBeenCalledOnce();
});

it('a secret that is not in the store has to be set before it is granted', () => {
	const missing_grants = ['secrets.TOKEN = "env:TOKEN"'];
	show(plugin('ntfy', { missing_grants }));
	expect(screen.queryByRole('button', { name: /Grant/ })).toBeNull();
	expect(screen.getByRole('link', { name: 'set here' })).toHaveAttribute('href', '/plugins');
});
