import { error } from '@sveltejs/kit';
import { loadDeploy, loadLines } from '$lib/deploy/load';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ params }) => {
	const id = Number(params.id);
	if (!Number.isSafeInteger(id) || id < 1)
		error(404, `“${params.id}” is not the number of a deploy`);
	const [deploy, lines] = await Promise.all([loadDeploy(id), loadLines(id)]);
	return { deploy, lines, wide: true };
};
