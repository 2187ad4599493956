import { answer, api } from '$lib/api/client';
import type { Deploy, DeployPreview, NewDeploy } from '$lib/api/schema';

type Wish = Pick<NewDeploy, 'stage' | 'image'>;

/** Queues a deploy. */
export async function startDeploy(project: string, body: Wish): Promise<Deploy> {
	return (await post(project, body, false)) as Deploy;
}

/** What it would do now. */
export async function previewDeploy(project: string, body: Wish): Promise<DeployPreview> {
	return (await post(project, body, true)) as DeployPreview;
}

function post(project: string, body: Wish, dry_run: boolean) {
	const params = { path: { project }, query: { dry_run } };
	return answer(api.POST('/api/projects/{project}/deploys', { params, body }));
}
