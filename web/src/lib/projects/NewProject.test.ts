import { render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import NewProject from './NewProject.svelte';

const { goto, beforeNavigate } = vi.hoisted(() => ({ goto: vi.fn(), beforeNavigate: vi.fn() }));
vi.mock('$app/navigation', () => ({ goto, beforeNavigate }));

let sent: unknown[];
let reply: () => Response;

beforeEach(() => {
	sent = [];
	vi.stubGlobal('fetch', async (request: Request) => {
		sent.push(await request.json());
		return reply();
	});
});
afterEach(() => {
	vi.unstubAllGlobals();
	goto.mockReset();
	beforeNavigate.mockReset();
});

function refusal(status: number, problem: object): Response {
	const headers = { 'content-type': 'application/problem+json' };
	return Response.json({ status, detail: 'no', ...problem }, { status, headers });
}

async function fillIn() {
	const user = userEvent.setup();
	render(NewProject);
	await user.type(screen.getByLabelText('Name'), 'shop');
	await user.type(screen.getByLabelText('Image'), 'shop:1.4');
	await user.click(screen.getByRole('button', { name: 'Add a variable' }));
	await user.type(screen.getByLabelText('Name of variable 1'), 'API_KEY');
	await user.type(screen.getByLabelText('Value of variable 1'), 'hunter22');
	await user.click(screen.getByLabelText('Secret'));
	await user.click(screen.getByRole('button', { name: 'Make the project' }));
}

it('makes the project and opens its page', async () => {
	reply = () => Response.json({ name: 'shop', stages: [] }, { status: 201 });
	await fillIn();
	await waitFor(() => expect(goto).toHaveBeenCalledWith('/projects/shop'));
	expect(sent[0]).toMatchObject({
		name: 'shop',
		spec: { image: 'shop:1.4', env: [{ name: 'API_KEY', value: 'hunter22', secret: true }] },
	});
});

it('shows what is wrong at the field, and loses nothing that was typed', async () => {
	const errors = [{ field: '/spec/env/0/name', message: 'this name is given twice' }];
	reply = () => refusal(422, { title: 'Unprocessable Entity', code: 'invalid', errors });
	await fillIn();
	const name = await screen.findByLabelText('Name of variable 1');
	await waitFor(() => expect(name).toHaveAccessibleDescription('this name is given twice'));
	expect(name).toBeInvalid();
	expect(name).toHaveValue('API_KEY');
	expect(screen.getByLabelText('Value of variable 1')).toHaveValue('hunter22');
	expect(screen.getByLabelText('Image')).toHaveValue('shop:1.4');
	expect(goto).not.toHaveBeenCalled();
});

it('says at the name that it is taken', async () => {
	const detail = 'project `shop` exists already: choose another name';
	reply = () => refusal(409, { title: 'Conflict', detail, code: 'conflict' });
	await fillIn();
	const name = screen.getByLabelText('Name');
	await waitFor(() => expect(name).toHaveAccessibleDescription(detail.replaceAll('`', '')));
	expect(name).toHaveValue('shop');
});

it('says at a domain what is wrong with it, or with having one', async () => {
	const errors = [
		{ field: '/spec/domains', message: 'a domain needs `port-hold` as the routing' },
		{ field: '/spec/domains/0/port', message: 'a port is a number from 1 to 65535' },
	];
	reply = () => refusal(422, { title: 'Unprocessable Entity', code: 'invalid', errors });
	const user = userEvent.setup();
	render(NewProject);
	await user.type(screen.getByLabelText('Name'), 'shop');
	await user.click(screen.getByRole('button', { name: 'Add a domain' }));
	await user.type(screen.getByLabelText('Name of domain 1'), 'shop.example');
	await user.type(screen.getByLabelText('Port of domain 1 in the container'), '0');
	await user.click(screen.getByRole('radio', { name: /The container publishes them/ }));
	await user.click(screen.getByRole('button', { name: 'Make the project' }));
	const name = screen.getByLabelText('Name of domain 1');
	const needs = 'a domain needs port-hold as the routing';
	await waitFor(() => expect(name).toHaveAccessibleDescription(needs));
	expect(name).toHaveFocus();
	const port = screen.getByLabelText('Port of domain 1 in the container');
	expect(port).toHaveAccessibleDescription('a port is a number from 1 to 65535');
	await user.click(screen.getByRole('button', { name: 'Remove domain 1' }));
	expect(screen.queryByRole('radio')).toBeNull();
});

it('asks who holds a port only where the host has one', async () => {
	const user = userEvent.setup();
	render(NewProject);
	await user.click(screen.getByRole('button', { name: 'Publish a port' }));
	await user.type(screen.getByLabelText('Port 1 in the container'), '80');
	expect(screen.queryByRole('radio')).toBeNull();
	await user.type(screen.getByLabelText('Port 1 on the host'), '8080');
	expect(screen.getByRole('radio', { name: /tiny-forge holds the ports/ })).toBeChecked();
	expect(screen.getByLabelText('Seconds until connections are cut')).toHaveValue('30');
	await user.click(screen.getByRole('radio', { name: /The container publishes them/ }));
	expect(screen.queryByLabelText('Seconds until connections are cut')).toBeNull();
});

describe('leaving the page', () => {
	const to = { url: new URL('http://x/deploys') };

	/** What the page would do with a click on a link. */
	function click(change: object = {}) {
		const navigation = { to, willUnload: false, cancel: vi.fn(), ...change };
		beforeNavigate.mock.lastCall?.[0](navigation);
		return navigation.cancel;
	}

	beforeEach(() => {
		HTMLDialogElement.prototype.showModal = function () {
			this.open = true;
		};
		HTMLDialogElement.prototype.close = function () {
			this.open = false;
		};
		render(NewProject);
	});

	it('asks nothing while nothing was typed', () => {
		expect(click()).not.toHaveBeenCalled();
	});

	it('asks before what was typed is lost, and goes where the reader wanted', async () => {
		const user = userEvent.setup();
		await user.type(screen.getByLabelText('Name'), 's');
		expect(click()).toHaveBeenCalled();
		await user.click(screen.getByRole('button', { name: 'Keep editing' }));
		expect(goto).not.toHaveBeenCalled();
		expect(click()).toHaveBeenCalled();
		await user.click(screen.getByRole('button', { name: 'Discard it' }));
		expect(goto).toHaveBeenCalledWith(to.url);
		expect(click()).not.toHaveBeenCalled();
	});

	it('lets the browser ask when the page is closed', async () => {
		await userEvent.setup().type(screen.getByLabelText('Name'), 's');
		expect(click({ willUnload: true, to: null })).toHaveBeenCalled();
		expect(screen.queryByRole('button', { name: 'Keep editing' })).toBeNull();
	});
});
