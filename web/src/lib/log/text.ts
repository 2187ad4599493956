/**
 * Log lines are hostile input: whatever a program prints arrives here. What
 * leaves is text without control characters, in which the only escape
 * sequences are colours (SGR).
 */

/** An escape sequence: a string for the terminal (OSC, DCS, …), a CSI, or a short one; or a lone ESC. */
const ESCAPE = /\x1b(?:[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)|\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])?/g;

const COLOUR = /^\x1b\[[\d;:]*m$/;

const COLOURS = /\x1b\[[\d;:]*m/g;
/** C0 but tab and ESC, DEL, C1, line and paragraph separators. */

const CONTROL = /[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029]/g;
/** Characters that reorder or hide what is around them. */
const DECEPTIVE = /[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/g;

/** What a terminal would show in the end of a line that was drawn over itself. */
export function lastFrame(raw: string): string {
	if (!raw.includes('\r')) return raw;
	const frames = raw.split('\r');
	return frames.findLast((frame) => withoutColour(clean(frame)).trim() !== '') ?? '';
}

/** Removes all but text and colours. */
export function clean(raw: string): string {
	return raw
		.replace(ESCAPE, (sequence) => (COLOUR.test(sequence) ? sequence : ''))
		.replace(CONTROL, '')
		.replace(DECEPTIVE, '');
}

/** The text alone. */
export function withoutColour(cleaned: string): string {
	return cleaned.includes('\x1b') ? cleaned.replace(COLOURS, '') : cleaned;
}
