/** The locks that a browser's tabs share; who waits for one gets it in turn. */
export class FakeLocks {
	readonly #lines = new Map<string, (() => void)[]>();

	/** How many are held. */
	get held(): number {
		return [...this.#lines.values()].filter((line) => line.length > 0).length;
	}

	request = (
		name: string,
		{ signal }: { signal: AbortSignal },
		hold: () => Promise<void> | undefined,
	): Promise<void> =>
		new Promise((resolve, reject) => {
			const line = this.#lines.get(name) ?? [];
			this.#lines.set(name, line);
			const leave = () => {
				const isFirst = line[0] === granted;
				line.splice(line.indexOf(granted), 1);
				if (isFirst) line[0]?.();
			};
			const dropOut = () => {
				leave();
				reject(signal.reason as Error);
			};
			const granted = () => {
				// Who has a lock keeps it, whatever becomes of the wish.
				signal.removeEventListener('abort', dropOut);
				void Promise.resolve().then(hold).then(resolve, reject).finally(leave);
			};
			signal.addEventListener('abort', dropOut);
			if (line.push(granted) === 1) granted();
		});
}
