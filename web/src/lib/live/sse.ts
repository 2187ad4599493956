import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { Hello } from '$lib/api/schema';

export type Frame = EventSourceMessage;

/** What the first frame says; without a stream, there is none whose filter could be changed. */
export type Greeting = Pick<Hello, 'head'> & Partial<Hello>;

/** The server answered, but not with a stream. */
export class StreamRefused extends Error {
	constructor(
		readonly status: number,
		/** How long the server asks us to stay away. */
		readonly retryAfterMs: number,
	) {
		super(`the event stream was refused with status ${status}`);
	}
}

interface Listeners {
	onFrame(frame: Frame): void;
	/** The server wishes that we wait so long before we come back. */
	onRetry(ms: number): void;
}

/** Reads one event stream to its end. Rejects where it is refused, breaks, or is aborted. */
export async function readStream(
	path: string,
	signal: AbortSignal,
	{ onFrame, onRetry }: Listeners,
): Promise<void> {
	const response = await fetch(path, {
		signal,
		cache: 'no-store',
		headers: { accept: 'text/event-stream' },
	});
	if (!response.ok || !response.body) {
		throw new StreamRefused(response.status, retryAfterMs(response));
	}
	const parser = createParser({ onEvent: onFrame, onRetry });
	const decoder = new TextDecoder();
	const reader = response.body.getReader();
	for (;;) {
		const { done, value } = await reader.read();
		// A chunk that was under way when we stopped belongs to nobody.
		if (done || signal.aborted) return;
		parser.feed(decoder.decode(value, { stream: true }));
	}
}

function retryAfterMs(response: Response): number {
	const seconds = Number(response.headers.get('retry-after'));
	return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}
