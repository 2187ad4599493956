type Name = 'wrap' | 'times';

const NARROW_PX = 640;

/** How the reader likes logs; the browser remembers it. */
export class LogSettings {
	/** Where lines hardly fit, they are wrapped unless the reader says otherwise. */
	wrap = $state(recall('wrap') ?? innerWidth < NARROW_PX);
	times = $state(recall('times') ?? false);

	toggle(name: Name): void {
		this[name] = !this[name];
		try {
			localStorage.setItem(`log.${name}`, String(this[name]));
		} catch {
			// Storage is switched off: it holds until the page is left.
		}
	}
}

function recall(name: Name): boolean | undefined {
	try {
		const chosen = localStorage.getItem(`log.${name}`);
		return chosen === null ? undefined : chosen === 'true';
	} catch {
		return undefined;
	}
}
