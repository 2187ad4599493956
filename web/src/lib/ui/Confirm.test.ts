import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { createRawSnippet } from 'svelte';
import { beforeEach, expect, it } from 'vitest';
import Confirm from './Confirm.svelte';

/** Ends what was confirmed, as the server does: it is done, or fails. */
let end: { done: () => void; fail: (error: Error) => void };

beforeEach(() => {
	HTMLDialogElement.prototype.showModal = function () {
		this.open = true;
	};
	HTMLDialogElement.prototype.close = function () {
		this.open = false;
	};
});

async function confirmed() {
	const confirm = () =>
		new Promise<void>((done, fail) => {
			end = { done, fail };
		});
	const children = createRawSnippet(() => ({ render: () => '<p>Its instances are stopped.</p>' }));
	const { component } = render(Confirm, {
		title: 'Delete it?',
		action: 'Delete',
		confirm,
		children,
	});
	component.ask();
	await userEvent.setup().click(screen.getByRole('button', { name: 'Delete' }));
	return screen.getByRole<HTMLDialogElement>('dialog');
}

/** As Escape does; says whether the dialog lets itself be closed. */
const escapes = (dialog: HTMLElement) =>
	dialog.dispatchEvent(new Event('cancel', { cancelable: true }));

it('while it is done, nothing closes the dialog as if it were not', async () => {
	const dialog = await confirmed();
	expect(screen.getByRole('button', { name: 'Keep it' })).toBeDisabled();
	expect(escapes(dialog)).toBe(false);
	end.fail(new Error('the engine does not answer'));
	expect(await screen.findByRole('alert')).toHaveTextContent('the engine does not answer');
	expect(screen.getByRole('button', { name: 'Keep it' })).toBeEnabled();
	expect(escapes(dialog)).toBe(true);
});

it('a failure is seen also by whom the browser let out', async () => {
	const dialog = await confirmed();
	dialog.close();
	end.fail(new Error('the engine does not answer'));
	expect(await screen.findByRole('alert')).toBeVisible();
	expect(dialog.open).toBe(true);
});

it('what was done closes it', async () => {
	const dialog = await confirmed();
	end.done();
	await expect.poll(() => dialog.open).toBe(false);
});
