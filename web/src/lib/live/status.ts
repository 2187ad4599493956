import type { ResetReason } from '$lib/api/schema';

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

/** History that this tab can never be told. */
export interface Gap {
	reason: ResetReason;
	at: Date;
}
