import { createContext } from 'svelte';
import { ApiError } from '$lib/api/client';
import type { Event, Reset } from '$lib/api/schema';
import { Backoff } from './backoff';
import { Onlooker } from './onlooker';
import { Place } from './place';
import { poll, POLL_MS } from './poll';
import { parsePosition, streamPath, type Position } from './position';
import { readStream, StreamRefused, type Frame, type Greeting } from './sse';
import { isDead, isWaiting, SILENCE_MS, type Gap, type LiveStatus } from './status';
import { Subscription } from './subscription';
import { Watches, type Watch } from './watches';

export type { Gap, LiveStatus } from './status';
export type { Watch } from './watches';

/** A free place for a stream is taken long before; without one, the tab asks now and then. */
const PLACE_MS = 250;

/** The one event stream of a tab, or what it has instead, and who watches it. */
export class Live {
	status: LiveStatus = $state.raw({ kind: 'connecting' });
	/** When the server last said anything. */
	lastEventAt: Date | undefined = $state.raw();
	/** Since when there is no connection. */
	downSince: Date | undefined = $state.raw();
	gap: Gap | undefined = $state.raw();
	/** How far the journal went when the server last said hello. */
	head: Position | undefined;

	#watches = new Watches();
	/** The newest id that the open stream has passed. */
	#position = 0;
	/** Where it was asked to start; without, it starts with what comes next. */
	#from: number | undefined;
	#stream: AbortController | undefined;
	/** The open stream, once the server has said hello. */
	#subscription: Subscription | undefined;
	#backoff = new Backoff();
	#timer: ReturnType<typeof setTimeout> | undefined;
	#watchdog: ReturnType<typeof setTimeout> | undefined;
	#place = new Place(() => !isWaiting(this.status) && this.#open());
	/** What happens while nobody looks is told when somebody does again. */
	#onlooker = new Onlooker({
		leave: () => {
			if (this.status.kind === 'signed_out') return;
			this.#leave();
			this.status = { kind: 'connecting' };
		},
		comeBack: () => {
			if (this.status.kind !== 'signed_out') this.#join();
		},
		look: () => this.#wake(),
	});

	/** Connects, and stays connected until the returned function is called. */
	start(): () => void {
		addEventListener('online', this.#wake);
		const unseen = this.#onlooker.start();
		this.#join();
		return () => {
			removeEventListener('online', this.#wake);
			unseen();
			this.#leave();
		};
	}

	/** Hands over what happens from `watch.after` on, until the returned function is called. */
	watch(watch: Watch): () => void {
		const stop = this.#watches.add(watch);
		this.#subscription?.serve();
		return () => {
			stop();
			this.#subscription?.serve();
		};
	}

	/** The newest id that the stream has passed; `undefined` before there was one. */
	get position(): number | undefined {
		return this.head && this.#position;
	}

	#join(): void {
		this.#timer = setTimeout(() => this.#open(), PLACE_MS);
		this.#place.take();
	}

	#leave(): void {
		this.#close();
		this.#place.leave();
	}

	#open(): void {
		this.#close();
		const stream = new AbortController();
		this.#stream = stream;
		this.#backoff.opened();
		this.#watches.restart();
		const { start, logs } = this.#watches;
		this.#from = start;
		this.#position = this.#from ?? this.#position;
		if (this.status.kind !== 'live' || isDead(this)) this.status = { kind: 'connecting' };
		this.#listen();
		const { signal } = stream;
		const onFrame = (frame: Frame) => this.#accept(frame, stream, logs);
		const onRetry = (ms: number) => this.#backoff.wish(ms);
		const reading = this.#place.isTaken
			? readStream(streamPath(this.head?.journal, start, logs), signal, { onFrame, onRetry })
			: poll({ watches: this.#watches, journal: this.head?.journal, signal, onFrame });
		reading.then(
			() => this.#ended(stream),
			(error: unknown) => this.#ended(stream, error),
		);
	}

	#close(): void {
		this.#stream?.abort();
		this.#stream = undefined;
		this.#subscription = undefined;
		clearTimeout(this.#timer);
		clearTimeout(this.#watchdog);
	}

	#accept(frame: Frame, stream: AbortController, logs: number[]): void {
		if (stream.signal.aborted) return;
		this.#listen();
		this.lastEventAt = new Date();
		if (frame.event === 'hello') return this.#hello(frame, stream, logs);
		if (frame.event === 'reset') return this.#reset(frame);
		const at = parsePosition(frame.id);
		if (at) this.#position = at.id;
		if (frame.event === 'bookmark') return this.#watches.advance(this.#position);
		if (frame.event === undefined) this.#watches.accept(JSON.parse(frame.data) as Event);
	}

	#hello(frame: Frame, { signal }: AbortController, logs: number[]): void {
		const { head, subscription: id } = JSON.parse(frame.data) as Greeting;
		this.head = parsePosition(head) ?? this.head;
		if (this.#from === undefined) this.#position = this.head?.id ?? this.#position;
		this.downSince = undefined;
		this.status = id ? { kind: 'live' } : { kind: 'live', everyMs: POLL_MS };
		if (!id) return;
		this.#subscription = new Subscription({
			id,
			journal: this.head?.journal,
			logs,
			signal,
			watches: this.#watches,
			position: () => this.#position,
			onFailed: () => this.#open(),
		});
		// A watch may have come while the stream was being opened.
		this.#subscription.serve();
	}

	#reset(frame: Frame): void {
		const { reason } = JSON.parse(frame.data) as Reset;
		const at = parsePosition(frame.id);
		this.#position = at?.id ?? 0;
		this.gap = { reason, at: new Date() };
		this.#watches.reset(reason, this.#position);
	}

	/** A stream that says nothing, not even a bookmark, is dead though nobody told us. */
	#listen(): void {
		clearTimeout(this.#watchdog);
		this.#watchdog = setTimeout(() => {
			this.#close();
			this.#retry(0);
		}, SILENCE_MS);
	}

	#ended(stream: AbortController, error?: unknown): void {
		if (stream.signal.aborted) return;
		this.#close();
		const refused = error instanceof StreamRefused || error instanceof ApiError;
		if (!refused || error.status !== 401)
			return this.#retry(error instanceof StreamRefused ? error.retryAfterMs : 0);
		this.#leave();
		this.status = { kind: 'signed_out' };
	}

	#retry(leastMs: number): void {
		this.downSince ??= new Date();
		const delay = this.#backoff.next(this.status.kind === 'live', leastMs);
		this.status = navigator.onLine
			? { kind: 'reconnecting', at: Date.now() + delay }
			: { kind: 'offline' };
		this.#timer = setTimeout(() => this.#open(), delay);
	}

	/** Back online, or looked at again: do not let the reader wait for the backoff or watchdog. */
	#wake = (): void => {
		const isDown = isWaiting(this.status) || isDead(this);
		if (isDown && document.visibilityState === 'visible') this.#open();
	};
}

export const [getLive, setLive] = createContext<Live>();
