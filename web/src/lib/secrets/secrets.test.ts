import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Secret } from '$lib/api/schema';
import Secrets from './Secrets.svelte';

const time = '2026-03-27T22:30:25.123Z';
const stored: Secret = { name: 'slack', created_at: time, updated_at: time, used_by: [] };
const used: Secret = { ...stored, name: 'hook', used_by: ['hook', 'other'] };
const missing: Secret = { name: 'gone', used_by: ['hook'] };

let asked: { what: string; body: string }[];
let reply: () => Response;

beforeEach(() => {
	asked = [];
	vi.stubGlobal('fetch', async (request: Request) => {
		const what = `${request.method} ${request.url.replace(/.*\/api/, '')}`;
		asked.push({ what, body: await request.text() });
		return reply();
	});
});
afterEach(() => vi.unstubAllGlobals());

const row = (name: string) => {
	const [found] = screen.getAllByRole('listitem').filter((it) => it.textContent?.includes(name));
	return within(found as HTMLElement);
};

it('secrets are listed with who uses them, and one that is missing as such', () => {
	render(Secrets, { secrets: [missing, used, stored], onchange: () => {} });
	expect(row('gone').getByText('missing')).toBeVisible();
	expect(row('gone').queryByRole('button', { name: /Remove/ })).toBeNull();
	const names = row('other')
		.getAllByRole('link')
		.map((link) => link.textContent);
	expect(names).toEqual(['hook', 'other']);
	expect(row('other').getByRole('button', { name: /Remove/ })).toBeDisabled();
	expect(row('slack').getByText('used by no plugin')).toBeVisible();
});

it('a value is typed unseen, sent, and forgotten', async () => {
	reply = () => Response.json({ ...stored, as_of: { journal: 'j', id: 1 } });
	const onchange = vi.fn();
	render(Secrets, { secrets: [stored], onchange });
	const user = userEvent.setup();
	await user.click(row('slack').getByRole('button', { name: /Replace/ }));
	const field = screen.getByLabelText('New value of slack');
	expect(field).toHaveAttribute('type', 'password');
	await user.type(field, 'correct-horse');
	await user.click(screen.getByRole('button', { name: 'Set the secret' }));
	expect(asked).toEqual([{ what: 'PUT /secrets/slack', body: '{"value":"correct-horse"}' }]);
	expect(onchange).toHaveBeenCalledOnce();
	expect(screen.queryByLabelText('New value of slack')).toBeNull();
});

it('a new one has a name, and what is wrong with it is said there', async () => {
	const errors = [{ field: '/name', message: 'a secret has another name' }];
	const problem = { title: 'No', status: 422, code: 'invalid', detail: 'no', errors };
	reply = () => Response.json(problem, { status: 422 });
	render(Secrets, { secrets: [], onchange: () => {} });
	const user = userEvent.setup();
	await user.click(screen.getByRole('button', { name: 'Add a secret' }));
	await user.type(screen.getByLabelText('Name'), '-x');
	await user.type(screen.getByLabelText('Value'), 'correct-horse');
	await user.click(screen.getByRole('button', { name: 'Set the secret' }));
	expect(await screen.findByText('a secret has another name')).toBeVisible();
	expect(screen.getByLabelText('Name')).toHaveAttribute('aria-invalid', 'true');
});
