import { cleanup, render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { SvelteMap } from 'svelte/reactivity';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { LiveStatus, Watch } from '$lib/live/live.svelte';
import DeployView from './DeployView.svelte';
import { deploy, logged, logLines, moved, step } from './example';
import type { LoadedDeploy } from './load';

const watches: Watch[] = [];
const tab = new SvelteMap<'status', LiveStatus>();
const goto = vi.hoisted(() => vi.fn());
vi.mock('$app/navigation', () => ({ goto }));
vi.mock('$app/state', () => ({ page: { url: new URL('http://x/deploys/7') } }));
vi.mock('$lib/live/live.svelte', () => ({
	getLive: () => ({
		get status() {
			return tab.get('status');
		},
		watch: (watch: Watch) => (watches.push(watch), () => {}),
	}),
}));

const asked: string[] = [];
let stored: LoadedDeploy;
let refuses: boolean;

beforeEach(() => {
	watches.length = asked.length = 0;
	refuses = false;
	tab.set('status', { kind: 'live' });
	vi.stubGlobal(
		'ResizeObserver',
		class {
			observe() {}
			unobserve() {}
			disconnect() {}
		},
	);
	// What the list uses and jsdom does not have.
	Element.prototype.scrollTo = Element.prototype.scrollBy = () => {};
	vi.stubGlobal('fetch', async (request: Request) => {
		asked.push(`${request.method} ${request.url.replace(/.*\/api/, '')}`);
		if (refuses) return Response.json({ detail: 'it starts' }, { status: 503 });
		if (request.url.endsWith('/deploys/7')) return Response.json(stored);
		const before = Number(new URL(request.url).searchParams.get('before'));
		const items = before > 0 ? [logged(before - 1)] : [];
		const next = before > 96 ? `${before - 1}` : null;
		return Response.json({ items, next, as_of: { journal: 'j', id: 10 } });
	});
});
afterEach(() => {
	cleanup();
	vi.useRealTimers();
	vi.unstubAllGlobals();
	goto.mockReset();
});

function open(
	loaded = deploy({ status: 'gating', steps: [step('gate', 'running')] }),
	before?: number,
) {
	stored = loaded;
	const lines = { lines: logLines(100, 101), before, as_of: { journal: 'j', id: 10 } };
	render(DeployView, { loaded, lines });
}

it('reads older lines to the start of the log, with one watch for all the time', async () => {
	open(undefined, 100);
	await waitFor(() => expect(asked.filter((path) => path.includes('before'))).toHaveLength(5));
	expect(watches).toHaveLength(1);
});

it('shows the end of a deploy as it happens', async () => {
	open();
	expect(screen.getByRole('button', { name: 'Cancel' })).toBeVisible();
	watches[0]?.onEvents([
		moved(11, {
			status: 'failed',
			message: 'exited',
			failure: {
				step: 'gate',
				reason: 'the new instance `shop` exited with code 3',
				exit_code: 3,
				oom: false,
				log_tail: ['\x1b[31mFATAL\x1b[0m <b>no</b> config'],
			},
		}),
	]);
	const panel = await screen.findByRole('region', { name: /Failed at gate/ });
	expect(panel).toHaveTextContent('Exit code 3');
	expect(panel).toHaveTextContent('FATAL <b>no</b> config');
	expect(panel.querySelector('b')).toBeNull();
	expect(screen.getByRole('button', { name: 'Redeploy' })).toBeEnabled();
});

it('asks before it cancels, and says that it is on its way', async () => {
	HTMLDialogElement.prototype.showModal = function () {
		this.open = true;
	};
	HTMLDialogElement.prototype.close = function () {
		this.open = false;
	};
	open();
	const user = userEvent.setup();
	await user.click(screen.getByRole('button', { name: 'Cancel' }));
	expect(asked.some((path) => path.includes('cancel'))).toBe(false);
	await user.click(screen.getByRole('button', { name: 'Cancel the deploy' }));
	expect(asked).toContain('POST /deploys/7/cancel');
	expect(await screen.findByRole('button', { name: 'Cancelling …' })).toBeDisabled();
});

it('a step that is clicked becomes the filter in the address', async () => {
	open();
	await userEvent.setup().click(screen.getByRole('button', { name: /gate/ }));
	expect(`${goto.mock.calls[0]?.[0]}`).toBe('http://x/deploys/7?step=gate');
});

it('what could not be loaded is asked for again as soon as the server is back', async () => {
	vi.useFakeTimers();
	open();
	tab.set('status', { kind: 'reconnecting', at: Date.now() + 60_000 });
	refuses = true;
	watches[0]?.onEvents([moved(11, { status: 'succeeded' })]);
	await vi.advanceTimersByTimeAsync(60_000);
	expect(screen.getByRole('alert')).toHaveTextContent('it starts');
	refuses = false;
	tab.set('status', { kind: 'live' });
	await vi.advanceTimersByTimeAsync(20);
	expect(screen.queryByRole('alert')).toBeNull();
});
