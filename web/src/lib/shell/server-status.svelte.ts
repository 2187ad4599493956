import { createContext } from 'svelte';
import { answer, api } from '$lib/api/client';
import type { Event, Status } from '$lib/api/schema';
import { follow, type Snapshot } from '$lib/live/snapshot.svelte';

/** The server and its engine; kept true by what the server says of itself. */
export function followServer(): Snapshot<Status> {
	return follow({
		load: () => answer(api.GET('/api/status')),
		concerns: (event: Event) => event.type === 'system',
	});
}

/** The one that the layout follows. */
export const [getServer, setServer] = createContext<Snapshot<Status>>();
