import type { ResetReason } from '$lib/api/schema';

/** Bookmarks come every 15 s: two missed and a bit. */
export const SILENCE_MS = 35_000;

export type LiveStatus =
	| { kind: 'connecting' }
	/** A tab without a stream of its own asks so often. */
	| { kind: 'live'; everyMs?: number }
	/** The next try is at this time (epoch milliseconds). */
	| { kind: 'reconnecting'; at: number }
	| { kind: 'offline' }
	| { kind: 'signed_out' };

/** For its next try. */
export function isWaiting({ kind }: LiveStatus): boolean {
	return kind === 'reconnecting' || kind === 'offline';
}

interface Connection {
	status: LiveStatus;
	lastEventAt: Date | undefined;
}

/** It seems to live, but was silent for too long: the machine slept, and the watchdog with it. */
export function isDead({ status, lastEventAt }: Connection): boolean {
	return status.kind === 'live' && Date.now() - (lastEventAt?.getTime() ?? 0) > SILENCE_MS;
}

/** History that this tab can never be told. */
export interface Gap {
	reason: ResetReason;
	at: Date;
}
