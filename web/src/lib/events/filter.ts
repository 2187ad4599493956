import type { Event, EventType, Severity } from '$lib/api/schema';

export const TYPES: EventType[] = [
	'deploy_status',
	'instance_status',
	'project_status',
	'plugin_status',
	'delivery_status',
	'event_annotated',
	'watch_gap',
	'audit',
	'system',
];
export const SEVERITIES: Severity[] = ['debug', 'info', 'warning', 'error', 'critical'];
/** Every message that is delivered is an event too, of severity `debug`: they would drown the rest. */
const LEAST: Severity = 'info';

/** The lists are alternatives; an empty one lets everything through. */
export interface EventFilter {
	type: string[];
	project: string[];
	stage: string[];
	instance: string[];
	deploy: string[];
	/** The least that is shown. */
	severity: Severity;
}

export const LISTS = ['type', 'project', 'stage', 'instance', 'deploy'] as const;
export type ListName = (typeof LISTS)[number];

/** The URL is the filter: whatever it holds that means nothing is left out. */
export function filterOf(query: URLSearchParams): EventFilter {
	const list = (name: ListName) => [
		...new Set(query.getAll(name).flatMap((value) => value.split(',').filter(Boolean))),
	];
	return {
		type: list('type').filter((name) => (TYPES as string[]).includes(name)),
		project: list('project'),
		stage: list('stage'),
		instance: list('instance'),
		deploy: list('deploy').filter((id) => /^\d+$/.test(id)),
		severity: SEVERITIES.find((name) => name === query.get('severity')) ?? LEAST,
	};
}

/** The same words that `GET /api/events` takes. */
export function queryOf(filter: EventFilter): Record<string, string> {
	const lists = LISTS.map((name) => [name, filter[name].join(',')]);
	const given = lists.filter(([, value]) => value !== '');
	return { ...Object.fromEntries(given), severity: filter.severity };
}

/** The page with this filter; what is left out of its address is as usual. */
export function addressOf(filter: EventFilter): string {
	const query = new URLSearchParams(queryOf(filter));
	if (filter.severity === LEAST) query.delete('severity');
	return query.size > 0 ? `/events?${query}` : '/events';
}

/** The page as it is without any choice. */
export function isUsual(filter: EventFilter): boolean {
	return addressOf(filter) === '/events';
}

/** Whether the server would send this event for the filter: it looks at the subject. */
export function matches(filter: EventFilter, event: Event): boolean {
	const about = aboutOf(event);
	return (
		(filter.type.length > 0 ? filter.type.includes(event.type) : event.type !== 'deploy_log') &&
		oneOf(filter.project, about.project) &&
		oneOf(filter.stage, about.stage) &&
		oneOf(filter.instance, about.instance) &&
		oneOf(filter.deploy, about.deploy) &&
		SEVERITIES.indexOf(event.severity) >= SEVERITIES.indexOf(filter.severity)
	);
}

/** Subjects: `shop/prod/deploys/17`, `shop/prod/instances/web-1`, `instances/db`, `shop/prod`, `shop`. */
const PART_OF_LANE = /^(?:([^/]+)\/([^/]+)\/)?(deploys|instances)\/(.+)$/;

interface About {
	project?: string;
	stage?: string;
	instance?: string;
	deploy?: string;
}

function aboutOf({ subject, type }: Event): About {
	const found = PART_OF_LANE.exec(subject);
	if (found) {
		const [, project, stage, kind, name] = found;
		return { project, stage, [kind === 'deploys' ? 'deploy' : 'instance']: name };
	}
	// `server` and `plugins/slack` have the form of a project and a lane, and are neither.
	if (type !== 'project_status' && type !== 'audit') return {};
	const [project, stage] = subject.split('/');
	return { project, stage };
}

function oneOf(wanted: string[], found: string | undefined): boolean {
	return wanted.length === 0 || (found !== undefined && wanted.includes(found));
}
