import type { Pipeline } from '$lib/api/schema';
import { duration } from '$lib/ui/format';

/** What lets an event into a pipeline, in words: one for each condition. All must hold. */
export function whenWords(when: unknown): string[] {
	if (typeof when !== 'object' || when === null) return [];
	const conditions = Object.entries(when).filter(([, value]) => list(value).length > 0);
	const words = conditions.map(([key, value]) => {
		const names = list(value).join(' or ');
		if (key === 'type') return names;
		return key === 'severity' ? `${names} and worse` : `${key} ${names}`;
	});
	if ('planned' in when && when.planned === true) words.push('what our deploys do, too');
	return words;
}

/** What a pipeline does besides, before its sinks get anything. */
export function throttleWords(pipeline: Pipeline): string[] {
	const words = [];
	const { startup_grace_s: grace, once_per: paths = [], cooldown_s: cooldown, batch } = pipeline;
	if (grace) words.push(`no instance in the first ${duration(grace * 1000)} after a start`);
	if (cooldown) words.push(`once per ${paths.join(', ')} in ${duration(cooldown * 1000)}`);
	if (batch) words.push(`${batch.events} together, or after ${duration(batch.wait_s * 1000)}`);
	return words;
}

function list(value: unknown): string[] {
	if (typeof value === 'string') return [value];
	return Array.isArray(value) ? value.map(String) : [];
}
