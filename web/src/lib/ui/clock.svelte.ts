import { createSubscriber } from 'svelte/reactivity';

/** The time, for those who draw it: one timer for the page, and none when nobody looks. */
class Clock {
	#tick = createSubscriber((update) => {
		const timer = setInterval(update, 1_000);
		return () => clearInterval(timer);
	});

	get now(): Date {
		this.#tick();
		return new Date();
	}
}

export const clock = new Clock();
