import { afterEach, beforeEach, vi } from 'vitest';
import type { Event } from '$lib/api/schema';
import { FakeLocks } from './fake-locks';
import { FakeServer } from './fake-server';
import { Live } from './live.svelte';

interface Browser {
	/** Without locks, every tab has a place for its stream. */
	locks?: boolean;
}

/** A tab with its stream, the server played by the test, and time that stands still. */
export function tab({ locks = false }: Browser = {}) {
	const tab = {} as { server: FakeServer; locks: FakeLocks; live: Live; close(): void };
	beforeEach(() => {
		vi.useFakeTimers();
		vi.spyOn(Math, 'random').mockReturnValue(1);
		tab.server = new FakeServer();
		tab.locks = new FakeLocks();
		const value = locks ? tab.locks : undefined;
		Object.defineProperty(navigator, 'locks', { configurable: true, value });
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

/** Shows the tab, or puts another one in front of it. */
export function look(state: DocumentVisibilityState): void {
	vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(state);
	document.dispatchEvent(new window.Event('visibilitychange'));
}

/** Other tabs of the browser, which wait for all places; they leave when the returned function is called. */
export function crowd(locks: FakeLocks, names = [1, 2, 3, 4]): () => void {
	const leaving = new AbortController();
	const left = new Promise<void>((resolve) =>
		leaving.signal.addEventListener('abort', () => resolve()),
	);
	for (const n of names) {
		const name = `tiny-forge stream ${n}`;
		locks.request(name, { signal: leaving.signal }, () => left).catch(() => {});
	}
	return () => leaving.abort();
}

/** Lets what the server sent arrive, and the frame be drawn. */
export const settle = () => vi.advanceTimersByTimeAsync(20);

/** Lets tabs find out whether there is a place for them. */
export const seated = () => vi.advanceTimersByTimeAsync(300);

/** Looks at another tab for so long. */
export async function lookAway(ms: number): Promise<void> {
	look('hidden');
	await vi.advanceTimersByTimeAsync(ms);
	look('visible');
	await seated();
}

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
