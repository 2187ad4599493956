import { cleanup, render } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { look, settle } from '$lib/live/harness';
import type { LiveStatus } from '$lib/live/live.svelte';
import { plugin } from './example';
import PluginView from './PluginView.svelte';

const live = vi.hoisted(() => ({ status: { kind: 'live' } as LiveStatus, watch: () => () => {} }));
vi.mock('$app/navigation', () => ({ goto: () => {} }));
vi.mock('$lib/live/live.svelte', () => ({ getLive: () => live }));

let loads: number;

beforeEach(async () => {
	vi.useFakeTimers();
	loads = 0;
	live.status = { kind: 'live' };
	vi.stubGlobal('fetch', async ({ url }: Request) => {
		const isPlugins = url.endsWith('/plugins');
		if (isPlugins) loads += 1;
		const items = isPlugins ? [plugin('slack')] : [];
		return Response.json({ items, as_of: { journal: 'j', id: 5 } });
	});
	render(PluginView, { name: 'slack' });
	await settle();
	expect(loads).toBe(1);
});
afterEach(() => {
	cleanup();
	vi.useRealTimers();
	vi.unstubAllGlobals();
	vi.restoreAllMocks();
});

const quiet = () => vi.advanceTimersByTimeAsync(10_000);

describe('a page of plugins', () => {
	it('is loaded again on a quiet server: no event tells that a TOML file was changed', async () => {
		await quiet();
		expect(loads).toBe(2);
		await quiet();
		expect(loads).toBe(3);
	});

	it('asks for nothing while nobody looks, or there is no connection', async () => {
		look('hidden');
		await quiet();
		look('visible');
		live.status = { kind: 'offline' };
		await quiet();
		expect(loads).toBe(1);
	});

	it('asks for nothing once it is gone', async () => {
		cleanup();
		await quiet();
		expect(loads).toBe(1);
	});
});
