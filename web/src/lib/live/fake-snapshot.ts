import { ApiError } from '$lib/api/client';
import type { Live } from './live.svelte';
import { Snapshot } from './snapshot.svelte';

interface Shown {
	value: number;
	as_of: { journal: string; id: number };
}

export const NOT_FOUND = new ApiError('GET', '/api/projects/gone', {
	type: 'about:blank',
	title: 'Not Found',
	status: 404,
	detail: 'project `gone` does not exist',
	code: 'not_found',
});

/** A snapshot of a thing that changes with every event, as of the event `head`. */
export function snapshot(live: Live) {
	const thing = {
		head: 5,
		loads: 0,
		fail: false as boolean | ApiError,
		slow: false,
		answer: () => {},
		told: [] as number[],
	};
	const load = async (): Promise<Shown> => {
		thing.loads += 1;
		if (thing.slow) await new Promise<void>((resolve) => (thing.answer = resolve));
		if (thing.fail instanceof ApiError) throw thing.fail;
		if (thing.fail) throw new Error('the store is busy');
		return { value: thing.head, as_of: { journal: 'j', id: thing.head } };
	};
	const shown = new Snapshot<Shown>(live, {
		load,
		concerns: (event) => event.id % 2 === 0,
		onEvents: (events) => thing.told.push(...events.map(({ id }) => id)),
	});
	return { thing, shown };
}
