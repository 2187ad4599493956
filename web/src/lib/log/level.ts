import type { LogStream } from '$lib/api/schema';

/** How loud a line is. */
export type Level = 'error' | 'warn' | 'info';

/** Words that say that nothing is wrong, although they contain `error`. */
const HARMLESS =
	/\b(?:no|0|zero|without)\s+(?:errors?|warnings?|failures?)\b|\berrors?\s*[:=]\s*(?:0|null|none|nil)\b/gi;
const ERROR = /\b(?:error|fatal|panic(?:ked)?|critical|emerg|exception|traceback|segfault)\b/i;
const COMPOUND_ERROR = /[a-z](?:Error|Exception)\b/;
const WARNING = /\bwarn(?:ing)?\b/i;
/** Levels are said at the beginning of a line; what comes later is other text. */
const LOOKED_AT = 400;

/**
 * The level by words. Many programs write all their log to stderr, so that the
 * stream alone only shows in the row's margin.
 */
export function levelOf(text: string, stream: LogStream): Level {
	const start = text.slice(0, LOOKED_AT).replace(HARMLESS, '');
	if (ERROR.test(start) || COMPOUND_ERROR.test(start)) return 'error';
	if (WARNING.test(start)) return 'warn';
	return stream === 'stderr' && /\b(?:failed|cannot|refused|denied)\b/i.test(start)
		? 'warn'
		: 'info';
}
