import { afterEach, beforeEach, vi } from 'vitest';
import type { Event } from '$lib/api/schema';
import { FakeServer } from './fake-server';
import { Live } from './live.svelte';

/** A tab with its stream, the server played by the test, and time that stands still. */
export function tab() {
	const tab = {} as { server: FakeServer; live: Live; close(): void };
	beforeEach(() => {
		vi.useFakeTimers();
		vi.spyOn(Math, 'random').mockReturnValue(1);
		tab.server = new FakeServer();
		tab.live = new Live();
		tab.close = tab.live.start();
	});
	afterEach(() => {
		tab.close();
		vi.useRealTimers();
		vi.unstubAllGlobals();
		vi.restoreAllMocks();
	});
	return tab;
}

/** Lets what the server sent arrive, and the frame be drawn. */
export const settle = () => vi.advanceTimersByTimeAsync(20);

/** What the server was asked as the `n`th of its kind. */
export async function nth<T>(asked: readonly T[], n: number): Promise<T> {
	await settle();
	const it = asked[n];
	if (!it) throw new Error(`only ${asked.length} were asked for`);
	return it;
}

/** A watch that notes what it is told. */
export function listener(live: Live, after: number, logs?: number) {
	const seen: number[] = [];
	const resets: string[] = [];
	const stop = live.watch({
		after,
		logs,
		onEvents: (events: Event[]) => seen.push(...events.map((event) => event.id)),
		onReset: (reason, head) => resets.push(`${reason} at ${head}`),
	});
	return { seen, resets, stop };
}
