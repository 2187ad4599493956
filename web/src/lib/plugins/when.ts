/** What lets an event into a pipeline, in words: one for each condition. All must hold. */
export function whenWords(when: unknown): string[] {
	if (typeof when !== 'object' || when === null) return [];
	const conditions = Object.entries(when).filter(([, value]) => list(value).length > 0);
	return conditions.map(([key, value]) => {
		const names = list(value).join(' or ');
		if (key === 'type') return names;
		return key === 'severity' ? `${names} and worse` : `${key} ${names}`;
	});
}

function list(value: unknown): string[] {
	if (typeof value === 'string') return [value];
	return Array.isArray(value) ? value.map(String) : [];
}
