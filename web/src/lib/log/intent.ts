import type { Attachment } from 'svelte/attachments';

const UP = new Set(['ArrowUp', 'PageUp', 'Home']);
const DOWN = new Set(['ArrowDown', 'PageDown', 'End', ' ']);

/** Tells the reader's own scrolling from the program's. */
export class ScrollIntent {
	#scrolling = false;
	#holding = false;
	#up: boolean | undefined;

	/** The scroll that happens now was made by the reader. */
	get byUser(): boolean {
		return this.#scrolling || this.#holding;
	}

	/**
	 * Which way the reader pulls, where their gesture says it. The view itself may move the
	 * other way at that moment: older lines that arrive above push it down.
	 */
	get up(): boolean | undefined {
		return this.#up;
	}

	/** The program scrolls now. */
	clear(): void {
		this.#reset();
	}

	/** The view stands still. */
	settled(): void {
		this.#reset();
	}

	/** Watches an element around the one that scrolls; `pulledUp` comes before the view moves. */
	attach(pulledUp: () => void): Attachment<HTMLElement> {
		return (element) => {
			const controller = new AbortController();
			const options = { signal: controller.signal, passive: true };
			const scrolls = (up?: boolean) => {
				this.#scrolling = true;
				this.#up = up;
				if (up) pulledUp();
			};
			element.addEventListener('wheel', (event) => scrolls(event.deltaY < 0), options);
			element.addEventListener('touchmove', () => scrolls(), options);
			element.addEventListener('pointerdown', () => this.#hold(), options);
			// The pointer may be let go anywhere.
			for (const end of ['pointerup', 'pointercancel'] as const)
				window.addEventListener(end, () => this.#let(), options);
			element.addEventListener(
				'keydown',
				({ key, shiftKey }) => {
					if (UP.has(key) || (key === ' ' && shiftKey)) scrolls(true);
					else if (DOWN.has(key)) scrolls(false);
				},
				options,
			);
			return () => controller.abort();
		};
	}

	#reset(): void {
		this.#scrolling = false;
		this.#up = undefined;
	}

	#hold(): void {
		this.#holding = true;
		this.#up = undefined;
	}

	/** What a drag of the scrollbar or a fling set in motion is still the reader's. */
	#let(): void {
		if (this.#holding) this.#scrolling = true;
		this.#holding = false;
	}
}
