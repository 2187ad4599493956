import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { expect, it, vi } from 'vitest';
import Toml from '$lib/plugins/Toml.svelte';
import Command from './Command.svelte';

it('what is copied is in the clipboard, and the button says so', async () => {
	const user = userEvent.setup();
	render(Command, { command: 'tiny-forge events' });
	await user.click(screen.getByRole('button', { name: 'Copy the command' }));
	expect(await screen.findByRole('button', { name: 'Copied' })).toBeVisible();
	expect(await navigator.clipboard.readText()).toBe('tiny-forge events');
});

it('where the browser gives no clipboard, the reader is asked to select the text', async () => {
	const user = userEvent.setup();
	vi.spyOn(navigator, 'clipboard', 'get').mockReturnValue(undefined as never);
	render(Command, { command: 'tiny-forge events' });
	await user.click(screen.getByRole('button', { name: 'Copy the command' }));
	expect(await screen.findByText('Select it')).toBeVisible();
	render(Toml, { label: 'Missing grants', text: 'grants.http = []' });
	await user.click(screen.getByRole('button', { name: 'Copy' }));
	expect(await screen.findByRole('status')).toHaveTextContent('Select it');
	vi.restoreAllMocks();
});
