import { answer, api, ApiError } from '$lib/api/client';
import type {
	Delivery,
	DeploySummary,
	Event,
	Instance,
	Plugin,
	Position,
	Project,
} from '$lib/api/schema';
import { UNDER_WAY } from '$lib/deploys/steps';
import { follow } from '$lib/live/snapshot.svelte';

interface Overview {
	projects: Project[];
	/** Containers that are not ours. */
	others: Instance[];
	running: DeploySummary[];
	plugins: Plugin[];
	dead: Delivery[];
	as_of: Position;
}

/** All that the overview shows, and nothing of what it shows is older than `as_of`. */
async function load(): Promise<Overview> {
	const [projects, others, running, plugins, dead] = await Promise.all([
		answer(api.GET('/api/projects')),
		answer(api.GET('/api/instances', { params: { query: { managed: false } } })),
		answer(api.GET('/api/deploys', { params: { query: { status: UNDER_WAY } } })),
		ifKnown(answer(api.GET('/api/plugins'))),
		ifKnown(answer(api.GET('/api/deliveries', { params: { query: { status: 'dead' } } }))),
	]);
	const answers = [projects, others, running];
	const oldest = answers.reduce((a, b) => (b.as_of.id < a.as_of.id ? b : a));
	return {
		projects: projects.items,
		others: others.items,
		running: running.items,
		plugins: plugins?.items ?? [],
		dead: dead?.items ?? [],
		as_of: oldest.as_of,
	};
}

/** A server that was built without plugins has nothing to say of them. */
async function ifKnown<T>(call: Promise<T>): Promise<T | undefined> {
	try {
		return await call;
	} catch (error) {
		if (error instanceof ApiError && error.status === 404) return undefined;
		throw error;
	}
}

/** Progress of a pull changes no state that is shown. */
function concerns(event: Event): boolean {
	switch (event.type) {
		case 'deploy_status':
			return !event.payload.progress;
		case 'instance_status':
		case 'project_status':
		case 'plugin_status':
		case 'delivery_status':
			return true;
		default:
			return event.type === 'system';
	}
}

export function followOverview() {
	return follow({ load, concerns });
}
