/** Lines that a link points at, by id, both included. */
export interface LineRange {
	from: number;
	to: number;
}

/** Reads `?line=4711` or `?line=4711-4720`. */
export function parseRange(text: string | null): LineRange | undefined {
	const found = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(text ?? '');
	if (!found) return undefined;
	const [from, to] = [Number(found[1]), Number(found[2] ?? found[1])];
	return { from: Math.min(from, to), to: Math.max(from, to) };
}

export function formatRange({ from, to }: LineRange): string {
	return from === to ? `${from}` : `${from}-${to}`;
}

/** A click on a line number; with shift from where the selection began. */
export function select(range: LineRange | undefined, line: number, extend: boolean): LineRange {
	if (!extend || !range) return { from: line, to: line };
	return { from: Math.min(range.from, line), to: Math.max(range.to, line) };
}
