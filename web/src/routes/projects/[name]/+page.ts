import type { PageLoad } from './$types';

export const load: PageLoad = ({ params, url }) => ({
	name: params.name,
	stage: url.searchParams.get('stage') ?? 'prod',
});
