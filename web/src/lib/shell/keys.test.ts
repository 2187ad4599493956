import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Shortcuts, shortcuts } from '$lib/ui/shortcuts.svelte';
import Keys from './Keys.svelte';

const goto = vi.hoisted(() => vi.fn());
vi.mock('$app/navigation', () => ({ goto }));

let main: HTMLElement;

beforeEach(() => {
	HTMLDialogElement.prototype.showModal = function () {
		this.open = true;
	};
	HTMLDialogElement.prototype.close = function () {
		this.open = false;
	};
	localStorage.clear();
	shortcuts.on = true;
	main = document.createElement('main');
	main.innerHTML = '<div data-filter><input aria-label="Filter" /></div>';
	document.body.append(main);
});
afterEach(() => {
	main.remove();
	goto.mockReset();
});

const filter = () => screen.getByLabelText('Filter');
const helpIsOpen = () => document.querySelector('dialog')?.open ?? false;

it('g and a letter lead to a page', async () => {
	render(Keys);
	await userEvent.keyboard('gl');
	expect(goto).toHaveBeenCalledExactlyOnceWith('/plugins');
	await userEvent.keyboard('l');
	await userEvent.keyboard('gx');
	expect(goto).toHaveBeenCalledOnce();
});

it('/ goes to the filter of the page, and types no slash into it', async () => {
	render(Keys);
	await userEvent.keyboard('/');
	expect(filter()).toHaveFocus();
	expect(filter()).toHaveValue('');
});

it('letters in a field are letters, and with Ctrl they are the browser’s', async () => {
	render(Keys);
	const user = userEvent.setup();
	await user.type(filter(), 'go?/');
	expect(filter()).toHaveValue('go?/');
	filter().blur();
	await user.keyboard('{Control>}g{/Control}o');
	expect(goto).not.toHaveBeenCalled();
	expect(helpIsOpen()).toBe(false);
});

it('? lists them, and there they can be switched off for good', async () => {
	const first = render(Keys);
	const user = userEvent.setup();
	await user.keyboard('?');
	expect(helpIsOpen()).toBe(true);
	expect(screen.getByText(/In a log: link to the match/).nextElementSibling).toHaveTextContent('l');
	await user.click(screen.getByLabelText('Use these keys'));
	await user.click(screen.getByRole('button', { name: 'Close' }));
	await user.keyboard('gp');
	first.unmount();
	render(Keys);
	await user.keyboard('gp');
	expect(goto).not.toHaveBeenCalled();
	await user.click(screen.getByRole('button', { name: 'Keyboard shortcuts' }));
	expect(helpIsOpen()).toBe(true);
	expect(screen.getByLabelText('Use these keys')).not.toBeChecked();
	expect(new Shortcuts().on, 'on the next visit').toBe(false);
});
