import { answer, api } from '$lib/api/client';
import type { Secret } from '$lib/api/schema';

/** Never with a value: those only go in. */
export async function loadSecrets(): Promise<Secret[]> {
	return (await answer(api.GET('/api/secrets'))).items;
}

export function setSecret(name: string, value: string): Promise<Secret> {
	const params = { path: { name } };
	return answer(api.PUT('/api/secrets/{name}', { params, body: { value } }));
}

export function removeSecret(name: string) {
	return answer(api.DELETE('/api/secrets/{name}', { params: { path: { name } } }));
}
