const MAX_MS = 30_000;
const FIRST_MS = 500;

/**
 * How long to wait before try `attempt` (counted from 0): between half of the
 * limit and all of it, so that the tabs of a server that restarts come back apart.
 */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
	const limit = Math.min(MAX_MS, FIRST_MS * 2 ** attempt);
	return limit / 2 + (random() * limit) / 2;
}
