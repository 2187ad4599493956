import { render } from '@testing-library/svelte';
import { expect, it } from 'vitest';
import Due from './Due.svelte';
import Time from './Time.svelte';

/** As a server writes it whose clock is five minutes ahead of ours. */
const at = new Date(Date.now() + 5 * 60_000 + 500).toISOString();

it('what has happened is not still to come, whatever the clock of the server says', () => {
	expect(render(Time, { at }).container).toHaveTextContent(/^now$/);
});

it('only what is due looks ahead', () => {
	const { container } = render(Due, { at, passed: 'due' });
	expect(container).toHaveTextContent(/^in (5|4) min$/);
});
