import { render, screen } from '@testing-library/svelte';
import { tick } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EngineView } from '$lib/api/schema';
import { Live } from '$lib/live/live.svelte';
import WithLive from '$lib/live/WithLive.svelte';
import Banners from './Banners.svelte';
import ConnectionPill from './ConnectionPill.svelte';

let live: Live;

beforeEach(() => {
	vi.useFakeTimers();
	live = new Live();
});
afterEach(() => vi.useRealTimers());

const pass = async (ms: number) => {
	await vi.advanceTimersByTimeAsync(ms);
	await tick();
};

describe('the pill', () => {
	it('counts down for the eye, and speaks only when the state changes', async () => {
		const { container } = render(WithLive, { live, component: ConnectionPill });
		live.status = { kind: 'reconnecting', at: Date.now() + 4_000 };
		await tick();
		expect(container).toHaveTextContent('Reconnecting in 4 s');
		expect(screen.getByRole('status')).toHaveTextContent(/^Reconnecting$/);
		await pass(2_000);
		expect(container).toHaveTextContent('Reconnecting in 2 s');
		expect(screen.getByRole('status')).toHaveTextContent(/^Reconnecting$/);
		live.status = { kind: 'live' };
		await tick();
		expect(screen.getByRole('status')).toHaveTextContent(/^Live$/);
		live.status = { kind: 'live', everyMs: 2_000 };
		await tick();
		expect(container).toHaveTextContent('Live, every 2 s');
		expect(screen.getByRole('status')).toHaveTextContent(/^Live$/);
	});
});

describe('the banners', () => {
	const show = (engine?: Partial<EngineView>) =>
		render(WithLive, { live, component: Banners as never, given: { engine } as never });

	it('say that updates are paused, but not for a short interruption', async () => {
		live.downSince = new Date();
		live.lastEventAt = new Date(2026, 2, 27, 14, 2, 11);
		show();
		await pass(9_000);
		expect(screen.queryByRole('alert')).toBeNull();
		await pass(2_000);
		expect(screen.getByRole('alert')).toHaveTextContent(
			'Live updates paused · last event 14:02:11',
		);
		live.downSince = undefined;
		await tick();
		expect(screen.queryByRole('alert')).toBeNull();
	});

	it('show a gap until the reader has seen it', async () => {
		live.gap = { reason: 'retention', at: new Date() };
		show();
		expect(screen.getByRole('alert')).toHaveTextContent('older than what the server keeps');
		screen.getByRole('button', { name: 'Dismiss' }).click();
		await tick();
		expect(screen.queryByRole('alert')).toBeNull();
	});

	it('name the engine that does not answer', () => {
		show({ state: 'absent', endpoint: 'unix:///var/run/docker.sock' });
		expect(screen.getByRole('alert')).toHaveTextContent(
			'No Docker engine answers at unix:///var/run/docker.sock: start it; this page connects by itself.',
		);
	});

	it('say nothing while all is well', () => {
		show({ state: 'connected' });
		expect(screen.queryByRole('alert')).toBeNull();
	});
});
