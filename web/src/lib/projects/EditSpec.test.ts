import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { expect, it, vi } from 'vitest';
import EditSpec from './EditSpec.svelte';

vi.mock('$app/navigation', () => ({ goto: vi.fn(), beforeNavigate: vi.fn() }));

function edit() {
	const env = [{ name: 'API_KEY', secret: true }];
	const done = vi.fn();
	render(EditSpec, { project: 'shop', stage: 'prod', spec: { image: 'shop:1', env }, done });
	return { user: userEvent.setup(), done };
}

it('says that a value is kept only while it is that of a secret', async () => {
	const { user } = edit();
	const value = screen.getByLabelText('Value of variable 1');
	expect(value).toHaveAttribute('placeholder', 'kept as it is');
	await user.click(screen.getByLabelText('Secret'));
	expect(value).toHaveAttribute('placeholder', 'value');
});

it('asks before it forgets that a variable was taken away', async () => {
	HTMLDialogElement.prototype.showModal = function () {
		this.open = true;
	};
	const { user, done } = edit();
	await user.click(screen.getByRole('button', { name: 'Remove variable 1' }));
	await user.click(screen.getByRole('button', { name: 'Cancel' }));
	expect(screen.getByRole('button', { name: 'Discard it' })).toBeVisible();
	expect(done).not.toHaveBeenCalled();
});
