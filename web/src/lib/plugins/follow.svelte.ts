import type { Event, Position } from '$lib/api/schema';
import { follow, type Snapshot } from '$lib/live/snapshot.svelte';

/** Every event moves the counters of pipelines, but nobody reads them so fast. */
const COUNTERS_MS = 2_000;

/** What is shown of plugins: loaded again at once for their own news, and soon for any event. */
export function followPlugins<T extends { as_of: Position }>(load: () => Promise<T>): Snapshot<T> {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const counted = () => {
		timer ??= setTimeout(() => {
			timer = undefined;
			void snapshot.refresh();
		}, COUNTERS_MS);
	};
	const snapshot = follow({ load, concerns: isNews, onEvents: counted });
	$effect(() => () => clearTimeout(timer));
	return snapshot;
}

function isNews({ type }: Event): boolean {
	return type === 'plugin_status' || type === 'delivery_status';
}
