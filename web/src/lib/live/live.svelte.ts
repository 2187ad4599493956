import { createContext } from 'svelte';
import type { Event } from '$lib/api/schema';
import { backoffMs } from './backoff';
import { perFrame } from './batch';
import { parsePosition, streamPath } from './position';
import { readStream, StreamRefused, type Frame } from './sse';
import { Watches, type Watch } from './watches';

export type { Watch } from './watches';

export type LiveStatus =
	| { kind: 'connecting' }
	| { kind: 'live' }
	/** The next try is at this time (epoch milliseconds). */
	| { kind: 'reconnecting'; at: number }
	| { kind: 'offline' }
	| { kind: 'signed_out' };

/** History that this tab can never be told. */
export interface Gap {
	reason: string;
	at: Date;
}

/** Bookmarks come every 15 s: two missed and a bit. */
const SILENCE_MS = 35_000;
/** A stream that held so long was a good one: its end starts the backoff anew. */
const STABLE_MS = 10_000;

/** The one event stream of a tab, and who watches it. */
export class Live {
	status: LiveStatus = $state.raw({ kind: 'connecting' });
	/** When the server last said anything. */
	lastEventAt: Date | undefined = $state.raw();
	/** Since when there is no connection. */
	downSince: Date | undefined = $state.raw();
	gap: Gap | undefined = $state.raw();

	#watches = new Watches();
	#scheduleFlush = perFrame(() => this.#watches.flush());
	#journal: string | undefined;
	/** The newest id that the open stream has passed. */
	#position = 0;
	/** Where it was asked to start; without, it starts with what comes next. */
	#from: number | undefined;
	#logs: number[] = [];
	#stream: AbortController | undefined;
	#openedAt = 0;
	#attempt = 0;
	#serverRetryMs = 0;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#watchdog: ReturnType<typeof setTimeout> | undefined;
	#reopening = false;

	/** Connects, and stays connected until the returned function is called. */
	start(): () => void {
		addEventListener('online', this.#wake);
		document.addEventListener('visibilitychange', this.#wake);
		this.#open();
		return () => {
			removeEventListener('online', this.#wake);
			document.removeEventListener('visibilitychange', this.#wake);
			this.#close();
		};
	}

	/** Hands over what happens from `watch.after` on, until the returned function is called. */
	watch(watch: Watch): () => void {
		const stop = this.#watches.add(watch);
		const needsLogs = watch.logs !== undefined && !this.#logs.includes(watch.logs);
		if (needsLogs || watch.after < this.#position) this.#reopen();
		return stop;
	}

	dismissGap(): void {
		this.gap = undefined;
	}

	/** The open stream is too narrow. Watches that come together share one new stream. */
	#reopen(): void {
		// Nothing more of the narrow stream: its ids must not move the new watch's cursor.
		this.#stream?.abort();
		if (this.#reopening || !this.#stream) return;
		this.#reopening = true;
		queueMicrotask(() => {
			this.#reopening = false;
			if (this.#stream) this.#open();
		});
	}

	#open(): void {
		this.#close();
		const stream = new AbortController();
		this.#stream = stream;
		this.#openedAt = Date.now();
		this.#logs = this.#watches.logs;
		this.#from = this.#watches.start;
		this.#position = this.#from ?? this.#position;
		if (this.status.kind !== 'live') this.status = { kind: 'connecting' };
		this.#listen(stream);
		readStream(streamPath(this.#journal, this.#from, this.#logs), stream.signal, {
			onFrame: (frame) => this.#accept(frame, stream),
			onRetry: (ms) => (this.#serverRetryMs = ms),
		}).then(
			() => this.#ended(stream),
			(error: unknown) => this.#ended(stream, error),
		);
	}

	#close(): void {
		this.#stream?.abort();
		this.#stream = undefined;
		clearTimeout(this.#timer);
		clearTimeout(this.#watchdog);
	}

	#accept(frame: Frame, stream: AbortController): void {
		if (stream.signal.aborted) return;
		this.#listen(stream);
		this.lastEventAt = new Date();
		if (frame.event === 'hello') return this.#hello(frame);
		if (frame.event === 'reset') return this.#reset(frame);
		const at = parsePosition(frame.id);
		if (at) this.#position = at.id;
		if (frame.event === 'bookmark') return this.#watches.advance(this.#position);
		if (frame.event === undefined) this.#fact(frame);
	}

	#hello(frame: Frame): void {
		const { head } = JSON.parse(frame.data) as { head: string };
		const at = parsePosition(head);
		this.#journal = at?.journal ?? this.#journal;
		this.downSince = undefined;
		this.status = { kind: 'live' };
		if (this.#from !== undefined || !at) return;
		this.#position = at.id;
		// A watch may have come while the stream was being opened.
		if ((this.#watches.start ?? at.id) < at.id) this.#reopen();
	}

	#reset(frame: Frame): void {
		const { reason } = JSON.parse(frame.data) as { reason: string };
		const at = parsePosition(frame.id);
		this.#position = at?.id ?? 0;
		this.gap = { reason, at: new Date() };
		this.#watches.reset(reason, this.#position);
	}

	#fact(frame: Frame): void {
		this.#watches.accept(JSON.parse(frame.data) as Event);
		this.#scheduleFlush();
	}

	/** A stream that says nothing, not even a bookmark, is dead though nobody told us. */
	#listen(stream: AbortController): void {
		clearTimeout(this.#watchdog);
		this.#watchdog = setTimeout(() => {
			stream.abort();
			this.#retry(0);
		}, SILENCE_MS);
	}

	#ended(stream: AbortController, error?: unknown): void {
		if (stream.signal.aborted) return;
		clearTimeout(this.#watchdog);
		if (!(error instanceof StreamRefused)) return this.#retry(0);
		if (error.status !== 401) return this.#retry(error.retryAfterMs);
		this.#close();
		this.status = { kind: 'signed_out' };
	}

	#retry(leastMs: number): void {
		this.#stream = undefined;
		this.downSince ??= new Date();
		const held = this.status.kind === 'live' && Date.now() - this.#openedAt > STABLE_MS;
		this.#attempt = held ? 0 : this.#attempt;
		const delay = Math.max(backoffMs(this.#attempt++), leastMs, this.#serverRetryMs);
		this.#serverRetryMs = 0;
		this.status = navigator.onLine
			? { kind: 'reconnecting', at: Date.now() + delay }
			: { kind: 'offline' };
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#open(), delay);
	}

	/** Back online, or looked at again: do not let the reader wait for the backoff. */
	#wake = (): void => {
		const waiting = this.status.kind === 'reconnecting' || this.status.kind === 'offline';
		if (waiting && document.visibilityState === 'visible') this.#open();
	};
}

export const [getLive, setLive] = createContext<Live>();
