type Name = 'wrap' | 'times';

/** How the reader likes logs; the browser remembers it. */
export class LogSettings {
	wrap = $state(recall('wrap'));
	times = $state(recall('times'));

	toggle(name: Name): void {
		this[name] = !this[name];
		try {
			localStorage.setItem(`log.${name}`, String(this[name]));
		} catch {
			// Storage is switched off: it holds until the page is left.
		}
	}
}

function recall(name: Name): boolean {
	try {
		return localStorage.getItem(`log.${name}`) === 'true';
	} catch {
		return false;
	}
}
