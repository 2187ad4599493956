const SAID_MS = 2_000;

/** Copies a text, and says for a moment what came of it. */
export class Copier {
	said: 'copied' | 'failed' | undefined = $state();
	#timer: ReturnType<typeof setTimeout> | undefined;

	copy = async (text: string): Promise<void> => {
		this.said = await written(text);
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => (this.said = undefined), SAID_MS);
	};
}

/** Pages that come neither over HTTPS nor from the same machine have no clipboard. */
async function written(text: string): Promise<'copied' | 'failed'> {
	try {
		await navigator.clipboard.writeText(text);
		return 'copied';
	} catch {
		return 'failed';
	}
}
