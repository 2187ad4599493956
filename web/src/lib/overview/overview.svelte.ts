import { answer, api } from '$lib/api/client';
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
import { lanesOf } from '$lib/projects/lane';

interface Overview {
	projects: Project[];
	/** Containers of no project: not ours, or of a project that was deleted without them. */
	others: Instance[];
	running: DeploySummary[];
	plugins: Plugin[];
	/** The newest that were given up; how many there are, their sinks say. */
	dead: Delivery[];
	as_of: Position;
}

/** All that the overview shows, and nothing of what it shows is older than `as_of`. */
async function load(): Promise<Overview> {
	const [projects, instances, running, plugins, dead] = await Promise.all([
		answer(api.GET('/api/projects')),
		answer(api.GET('/api/instances')),
		answer(api.GET('/api/deploys', { params: { query: { status: UNDER_WAY } } })),
		answer(api.GET('/api/plugins')),
		answer(api.GET('/api/deliveries', { params: { query: { status: 'dead' } } })),
	]);
	const answers = [projects, instances, running, plugins, dead];
	const oldest = answers.reduce((a, b) => (b.as_of.id < a.as_of.id ? b : a));
	return {
		projects: projects.items,
		others: othersOf(instances.items, projects.items),
		running: running.items,
		plugins: plugins.items,
		dead: dead.items,
		as_of: oldest.as_of,
	};
}

function othersOf(instances: Instance[], projects: Project[]): Instance[] {
	const known = new Set(lanesOf(projects).flatMap((lane) => lane.instances.map(({ id }) => id)));
	return instances.filter(({ id }) => !known.has(id));
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
