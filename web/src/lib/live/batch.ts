/** Hidden pages get no animation frames: they are served this often. */
const HIDDEN_MS = 250;

/** Calls `flush` once for all calls within an animation frame. */
export function perFrame(flush: () => void): () => void {
	let scheduled = false;
	return () => {
		if (scheduled) return;
		scheduled = true;
		const run = () => {
			if (!scheduled) return;
			scheduled = false;
			cancelAnimationFrame(frame);
			clearTimeout(timer);
			flush();
		};
		const frame = requestAnimationFrame(run);
		const timer = setTimeout(run, HIDDEN_MS);
	};
}
