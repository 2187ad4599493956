/** A place in a named journal, as the `id:` of a frame writes it: `<journal>-<id>`. */
export interface Position {
	journal: string;
	id: number;
}

export function parsePosition(text: string | undefined): Position | undefined {
	const dash = text?.lastIndexOf('-') ?? -1;
	if (text === undefined || dash < 1) return undefined;
	const id = Number(text.slice(dash + 1));
	return Number.isSafeInteger(id) ? { journal: text.slice(0, dash), id } : undefined;
}

/** The stream from `from` on; without, it starts with what comes next. */
export function streamPath(journal: string | undefined, from: number | undefined, logs: number[]) {
	const query = new URLSearchParams();
	if (from !== undefined) query.set('after', journal ? `${journal}-${from}` : `${from}`);
	if (logs.length > 0) query.set('logs', logs.join(','));
	return query.size > 0 ? `/api/events?${query}` : '/api/events';
}
