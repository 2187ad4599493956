const MAX_MS = 30_000;
const FIRST_MS = 500;
/** What held so long was a good connection: its end is the first failure of a new row. */
const STABLE_MS = 10_000;

/**
 * How long to wait before try `attempt` (counted from 0): between half of the
 * limit and all of it, so that the tabs of a server that restarts come back apart.
 */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
	const limit = Math.min(MAX_MS, FIRST_MS * 2 ** attempt);
	return limit / 2 + (random() * limit) / 2;
}

/** How long to stay away from the server, from try to try. */
export class Backoff {
	#attempt = 0;
	#openedAt = 0;
	#wishMs = 0;

	opened(): void {
		this.#openedAt = Date.now();
	}

	/** The server wishes that we stay away so long, this once. */
	wish(ms: number): void {
		this.#wishMs = ms;
	}

	/** After a connection that `wasLive` until now, or was not. */
	next(wasLive: boolean, leastMs: number): number {
		if (wasLive && Date.now() - this.#openedAt > STABLE_MS) this.#attempt = 0;
		const delay = Math.max(backoffMs(this.#attempt++), leastMs, this.#wishMs);
		this.#wishMs = 0;
		return delay;
	}
}
