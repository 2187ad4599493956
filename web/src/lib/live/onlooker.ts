/**
 * A browser has six connections to a server, for all of its tabs together: a tab that nobody
 * looks at leaves its own to the others.
 */
const HIDDEN_MS = 10_000;

interface Does {
	/** Nobody has looked for a while. */
	leave: () => void;
	/** Somebody looks again. */
	comeBack: () => void;
	/** Somebody looks who was hardly away. */
	look: () => void;
}

/** Whether anybody looks at this tab. */
export class Onlooker {
	#isAway = false;
	#timer: ReturnType<typeof setTimeout> | undefined;

	constructor(readonly does: Does) {}

	start(): () => void {
		document.addEventListener('visibilitychange', this.#notice);
		// Opened in the background, a tab is hidden from the first.
		this.#notice();
		return () => {
			document.removeEventListener('visibilitychange', this.#notice);
			clearTimeout(this.#timer);
		};
	}

	#notice = (): void => {
		clearTimeout(this.#timer);
		if (document.visibilityState === 'hidden') {
			this.#timer = setTimeout(() => {
				this.#isAway = true;
				this.does.leave();
			}, HIDDEN_MS);
		} else if (this.#isAway) {
			this.#isAway = false;
			this.does.comeBack();
		} else this.does.look();
	};
}
