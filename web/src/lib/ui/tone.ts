export type Tone = 'ok' | 'warn' | 'err' | 'info' | 'muted';

/** What the eye should make of each word that the server uses for a state. */
const TONES: Record<Tone, string[]> = {
	ok: ['succeeded', 'running', 'healthy', 'recovered', 'connected', 'delivered', 'live'],
	info: [
		'planning',
		'pulling',
		'creating',
		'starting',
		'gating',
		'replacing',
		'draining',
		'baking',
		'retiring',
		'loading',
		'connecting',
		'sending',
		'info',
	],
	warn: [
		'restoring',
		'rolling_back',
		'restarting',
		'paused',
		'retrying',
		'not_configured',
		'missing',
		'warning',
		'reconnecting',
	],
	err: [
		'failed',
		'rolled_back',
		'unhealthy',
		'dead',
		'quarantined',
		'absent',
		'error',
		'critical',
		'crash_loop',
		'oom',
		'unexpected_exit',
	],
	muted: [
		'queued',
		'pending',
		'cancelled',
		'created',
		'exited',
		'removed',
		'skipped',
		'none',
		'debug',
	],
};

const BY_WORD = new Map(
	Object.entries(TONES).flatMap(([tone, words]) => words.map((word) => [word, tone as Tone])),
);

/** Words that are not in the list are new: neither good nor bad. */
export function toneOf(word: string): Tone {
	return BY_WORD.get(word) ?? 'muted';
}

/** Something is under way. */
export function isBusy(word: string): boolean {
	return BY_WORD.get(word) === 'info' && word !== 'info';
}

export const TEXT: Record<Tone, string> = {
	ok: 'text-ok',
	warn: 'text-warn',
	err: 'text-err',
	info: 'text-info',
	muted: 'text-muted',
};
