import { error } from '@sveltejs/kit';
import { ApiError } from '$lib/api/client';
import { loadDeploy, loadLines } from '$lib/deploy/load';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ params }) => {
	const id = Number(params.id);
	if (!Number.isSafeInteger(id) || id < 1)
		error(404, `“${params.id}” is not the number of a deploy`);
	try {
		const [deploy, lines] = await Promise.all([loadDeploy(id), loadLines(id)]);
		return { deploy, lines, wide: true };
	} catch (problem) {
		if (problem instanceof ApiError) error(problem.status || 503, problem.message);
		throw problem;
	}
};
