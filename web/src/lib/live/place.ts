/**
 * A browser has six connections to a server, for all of its tabs together: so many streams
 * leave two for everything else.
 */
const PLACES = 4;

/**
 * One of the places for a stream that the tabs of a browser share. They are locks: a tab that
 * ends, however it does, hands its own to the one that has waited longest. Where a browser has
 * none, as it says of pages that come neither over HTTPS nor from the same machine, there is
 * a place for everybody.
 */
export class Place {
	#isTaken = false;
	/** Stops waiting, too. */
	leave: () => void = () => {};

	constructor(readonly onTaken: () => void) {}

	get isTaken(): boolean {
		return this.#isTaken;
	}

	/** Waits in line for all of them, until the first is free. */
	take(): void {
		this.leave();
		const inLine = new AbortController();
		const left = new Promise<void>((resolve) => {
			this.leave = () => {
				this.#isTaken = false;
				inLine.abort();
				resolve();
			};
		});
		const sit = (): Promise<void> | undefined => {
			// The others may become free before we are out of line.
			if (inLine.signal.aborted) return;
			inLine.abort();
			this.#isTaken = true;
			this.onTaken();
			return left;
		};
		if (!navigator.locks) return void sit();
		for (let place = 1; place <= PLACES; place++) {
			const name = `tiny-forge stream ${place}`;
			navigator.locks.request(name, { signal: inLine.signal }, sit).catch(sit);
		}
	}
}
