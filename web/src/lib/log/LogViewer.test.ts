import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { logLines } from '$lib/deploy/example';
import Keys from '$lib/shell/Keys.svelte';
import { shortcuts } from '$lib/ui/shortcuts.svelte';
import { fakeScreen } from './fake-screen';
import { Log } from './log.svelte';
import LogViewer from './LogViewer.svelte';
import type { LineRange } from './range';

const goto = vi.hoisted(() => vi.fn());
vi.mock('$app/navigation', () => ({ goto }));

const onselect = vi.fn<(range: LineRange) => void>();

beforeEach(() => fakeScreen(10));
afterEach(() => {
	shortcuts.on = true;
	localStorage.clear();
	goto.mockReset();
	onselect.mockReset();
	vi.unstubAllGlobals();
	vi.restoreAllMocks();
});

/** A log of 100 lines that is shown to its end, and has the focus. */
async function open() {
	const log = new Log();
	log.append(logLines(1, 100));
	const given = { log, label: 'Log', download: '/log', ended: true, complete: true, onselect };
	const { rerender } = render(LogViewer, given);
	await screen.findByText('line 100');
	const list = screen.getByRole('log');
	list.focus();
	return { list, select: (selected: LineRange) => rerender({ selected }) };
}

it('l links to the line at the top, and Shift reaches from there to a match', async () => {
	const { list, select } = await open();
	const user = userEvent.setup();
	await vi.waitFor(async () => {
		list.scrollTo({ top: 41 * 20 });
		await user.keyboard('l');
		expect(onselect).toHaveBeenLastCalledWith({ from: 42, to: 42 });
	});
	await select({ from: 42, to: 42 });
	await user.type(screen.getByRole('searchbox'), 'line 77{Enter}');
	list.focus();
	await user.keyboard('{Shift>}L{/Shift}');
	expect(onselect).toHaveBeenLastCalledWith({ from: 42, to: 77 });
});

it('g and l lead to the plugins, also from a log', async () => {
	render(Keys);
	await open();
	await userEvent.setup().keyboard('gl');
	expect(goto).toHaveBeenCalledExactlyOnceWith('/plugins');
	expect(onselect).not.toHaveBeenCalled();
});

it('keys that are switched off do nothing in a log', async () => {
	shortcuts.on = false;
	await open();
	const wrap = screen.getByRole('button', { name: 'Wrap long lines' });
	const before = wrap.ariaPressed;
	await userEvent.setup().keyboard('wl');
	expect(wrap.ariaPressed).toBe(before);
	expect(onselect).not.toHaveBeenCalled();
	expect(wrap.title).toBe('Wrap long lines');
});
