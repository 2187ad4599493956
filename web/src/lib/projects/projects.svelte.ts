import { answer, api } from '$lib/api/client';
import type { Event } from '$lib/api/schema';
import { follow } from '$lib/live/snapshot.svelte';

/** Progress of a pull changes nothing that a project shows; the engine's going makes all of it old. */
function concernsProjects(event: Event): boolean {
	switch (event.type) {
		case 'deploy_status':
			return !event.payload.progress;
		case 'instance_status':
			return event.payload.managed;
		default:
			return event.type === 'project_status' || event.type === 'system';
	}
}

export function followProjects() {
	return follow({ load: () => answer(api.GET('/api/projects')), concerns: concernsProjects });
}

export function followProject(name: string) {
	const params = { path: { project: name } };
	return follow({
		load: () => answer(api.GET('/api/projects/{project}', { params })),
		concerns: (event) => concernsProjects(event) && isAbout(event, name),
	});
}

function isAbout(event: Event, project: string): boolean {
	return !('project' in event.payload) || event.payload.project === project;
}
