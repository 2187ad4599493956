/** There they are letters. */
const TYPING = 'input, textarea, select, [contenteditable]';

/** Keys that do something by themselves; the browser remembers whether the reader wants that. */
export class Shortcuts {
	on = $state(recall());

	/** The reader means what the key does, not the letter, and not what the browser makes of it. */
	mean(event: KeyboardEvent): boolean {
		const { target } = event;
		const typing = target instanceof Element && target.closest(TYPING) !== null;
		const modified = event.ctrlKey || event.metaKey || event.altKey;
		return this.on && !typing && !modified && !event.defaultPrevented;
	}

	/** On a button that has a key, too: `Show times (t)`. */
	told(what: string, key: string): string {
		return this.on ? `${what} (${key})` : what;
	}

	remember(): void {
		try {
			localStorage.setItem('keys', this.on ? 'on' : 'off');
		} catch {
			// Storage is switched off: it holds for this visit.
		}
	}
}

function recall(): boolean {
	try {
		return localStorage.getItem('keys') !== 'off';
	} catch {
		return true;
	}
}

/** Those of the page: whoever has keys asks the same switch. */
export const shortcuts = new Shortcuts();
