import { render, screen } from '@testing-library/svelte';
import { beforeEach, expect, it, vi } from 'vitest';
import { settle, tab } from '$lib/live/harness';
import WithLive from '$lib/live/WithLive.svelte';
import { fakeScreen } from '$lib/log/fake-screen';
import DeployView from './DeployView.svelte';
import { deploy, logged, logLines } from './example';

vi.mock('$app/navigation', () => ({ goto: vi.fn() }));
vi.mock('$app/state', () => ({ page: { url: new URL('http://x/deploys/7') } }));

const page = tab();
beforeEach(() => fakeScreen(10));

/** The clocks of browser and server are far apart: events were recorded long before or after now. */
const CLOCKS = { behind: '2040-01-01T00:00:00Z', ahead: '2020-01-01T00:00:00Z' };
for (const [clock, now] of Object.entries(CLOCKS)) {
	it(`counts the lines that were recovered, though the clock of the server is ${clock}`, async () => {
		vi.setSystemTime(now);
		const lines = { lines: logLines(9, 10), before: undefined, as_of: { journal: 'j', id: 10 } };
		const given = { loaded: deploy(), lines } as never;
		render(WithLive, { live: page.live, component: DeployView as never, given });
		await settle();
		page.server.last.accept(10);
		await settle();
		page.server.last.end();
		await vi.advanceTimersByTimeAsync(600);
		page.server.last.accept(12).events([logged(11), logged(12), logged(13)]);
		// A frame takes longer where the clock was set back.
		await vi.advanceTimersByTimeAsync(100);
		expect(screen.getByRole('log')).toHaveTextContent('resumed, 2 lines recovered');
		expect(screen.getByRole('log')).toHaveTextContent('line 13');
	});
}
