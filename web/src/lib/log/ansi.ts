/**
 * Colours of a cleaned line. A line becomes runs of text with a style, never
 * HTML: there is nothing to escape, and a run can be cut where a search matches.
 */

export interface Run {
	text: string;
	/** Class names, all of them ours. */
	class: string;
	/** Inline style made of numbers, for colours outside the sixteen. */
	style: string;
}

/** One of the sixteen by number, or red, green and blue. */
type Colour = number | readonly [number, number, number];

interface Pen {
	bold: boolean;
	dim: boolean;
	italic: boolean;
	underline: boolean;
	strike: boolean;
	inverse: boolean;
	text: Colour | undefined;
	background: Colour | undefined;
}

const SGR = /\x1b\[([\d;:]*)m/g;

const plain = (): Pen => ({
	bold: false,
	dim: false,
	italic: false,
	underline: false,
	strike: false,
	inverse: false,
	text: undefined,
	background: undefined,
});

/** Cuts a cleaned line into runs of one style. */
export function runs(line: string): Run[] {
	if (!line.includes('\x1b')) return [{ text: line, class: '', style: '' }];
	const found: Run[] = [];
	let pen = plain();
	let from = 0;
	const add = (to: number) => {
		if (to > from) found.push({ text: line.slice(from, to), ...look(pen) });
	};
	for (const sequence of line.matchAll(SGR)) {
		add(sequence.index);
		from = sequence.index + sequence[0].length;
		pen = apply(pen, (sequence[1] ?? '').split(/[;:]/).map(Number));
	}
	add(line.length);
	return found;
}

function apply(before: Pen, codes: number[]): Pen {
	let pen = { ...before };
	for (let at = 0; at < codes.length; at++) {
		const code = codes[at] ?? 0;
		if (code === 0) pen = plain();
		else if (code === 38 || code === 48) {
			const [colour, used] = extended(codes.slice(at + 1));
			pen[code === 38 ? 'text' : 'background'] = colour;
			at += used;
		} else Object.assign(pen, change(code));
	}
	return pen;
}

/** What one code changes. Concealed text (8) stays visible: a log hides nothing. */
function change(code: number): Partial<Pen> {
	if (code >= 30 && code <= 37) return { text: code - 30 };
	if (code >= 40 && code <= 47) return { background: code - 40 };
	if (code >= 90 && code <= 97) return { text: code - 82 };
	if (code >= 100 && code <= 107) return { background: code - 92 };
	switch (code) {
		case 1:
			return { bold: true };
		case 2:
			return { dim: true };
		case 3:
			return { italic: true };
		case 4:
			return { underline: true };
		case 7:
			return { inverse: true };
		case 9:
			return { strike: true };
		case 22:
			return { bold: false, dim: false };
		case 23:
			return { italic: false };
		case 24:
			return { underline: false };
		case 27:
			return { inverse: false };
		case 29:
			return { strike: false };
		case 39:
			return { text: undefined };
		case 49:
			return { background: undefined };
		default:
			return {};
	}
}

/** The colour after 38 or 48, and how many codes it took. */
function extended(codes: number[]): [Colour | undefined, number] {
	const byte = (value: number | undefined) => Math.min(255, Math.max(0, Math.trunc(value ?? 0)));
	if (codes[0] === 5) return [indexed(byte(codes[1])), 2];
	if (codes[0] === 2) return [[byte(codes[1]), byte(codes[2]), byte(codes[3])], 4];
	return [undefined, 0];
}

/** The palette of 256: sixteen by name, a cube of 6×6×6, 24 greys. */
function indexed(index: number): Colour {
	if (index < 16) return index;
	if (index >= 232) {
		const grey = 8 + (index - 232) * 10;
		return [grey, grey, grey];
	}
	const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
	const cube = index - 16;
	return [level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)];
}

const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const;

function look(pen: Pen): Omit<Run, 'text'> {
	const classes: string[] = [];
	const styles: string[] = [];
	for (const flag of ['bold', 'dim', 'italic', 'underline', 'strike', 'inverse'] as const) {
		if (pen[flag]) classes.push(`ansi-${flag}`);
	}
	for (const part of ['text', 'background'] as const) {
		const colour = pen[part];
		if (typeof colour === 'number') classes.push(`ansi-${part}-${NAMES[colour % 8]}`);
		else if (colour) {
			classes.push(`ansi-${part}-own`);
			styles.push(`--ansi-${part}: rgb(${colour.join(' ')})`);
		}
	}
	return { class: classes.join(' '), style: styles.join('; ') };
}
