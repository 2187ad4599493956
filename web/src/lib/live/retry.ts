import { backoffMs } from './backoff';
import type { Live } from './live.svelte';

/** Asks again what failed, as for a lost connection: less and less often, until it succeeds. */
export class Retry {
	#live: Pick<Live, 'status'>;
	#ask: () => void;
	#timer: ReturnType<typeof setTimeout> | undefined;
	/** What failed since the last that did not. */
	#failures = 0;

	constructor(live: Pick<Live, 'status'>, ask: () => void) {
		this.#live = live;
		this.#ask = ask;
	}

	/** While there is no connection, its return is waited for: who follows it asks then. */
	failed(): void {
		this.stop();
		const delay = backoffMs(this.#failures++);
		this.#timer = setTimeout(() => this.#live.status.kind === 'live' && this.#ask(), delay);
	}

	succeeded(): void {
		this.stop();
		this.#failures = 0;
	}

	stop(): void {
		clearTimeout(this.#timer);
	}
}
