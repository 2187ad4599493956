import type { Event, Position } from '$lib/api/schema';
import { getLive } from '$lib/live/live.svelte';
import { follow, type Snapshot } from '$lib/live/snapshot.svelte';

/** Every event moves the counters of pipelines, but nobody reads them so fast. */
const COUNTERS_MS = 2_000;
/** No event tells that a file of configuration was changed, broken or mended. */
const FILES_MS = 10_000;

/**
 * What is shown of plugins: loaded again at once for their own news, soon for any event, and now
 * and then while somebody looks.
 */
export function followPlugins<T extends { as_of: Position }>(load: () => Promise<T>): Snapshot<T> {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const counted = () => {
		timer ??= setTimeout(() => {
			timer = undefined;
			void snapshot.refresh();
		}, COUNTERS_MS);
	};
	const snapshot = follow({ load, concerns: isNews, onEvents: counted });
	const live = getLive();
	const look = () => {
		const isSeen = document.visibilityState === 'visible' && live.status.kind === 'live';
		if (isSeen) void snapshot.refresh();
	};
	$effect(() => {
		const looking = setInterval(look, FILES_MS);
		return () => {
			clearInterval(looking);
			clearTimeout(timer);
		};
	});
	return snapshot;
}

function isNews({ type }: Event): boolean {
	return type === 'plugin_status' || type === 'delivery_status';
}
