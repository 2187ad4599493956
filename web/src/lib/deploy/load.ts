import { answer, api } from '$lib/api/client';
import type { Deploy, Instance, LogLine, Position } from '$lib/api/schema';
import { logLineOf } from '$lib/log/line';

const PAGE_LINES = 500;

export type LoadedDeploy = Deploy & { as_of: Position };

/** Lines of a deploy's log, oldest first. */
export interface LogPage {
	lines: LogLine[];
	/** There are older lines, before this id. */
	before: number | undefined;
	as_of: Position;
}

export function loadDeploy(id: number): Promise<LoadedDeploy> {
	return answer(api.GET('/api/deploys/{id}', { params: { path: { id } } }));
}

/** The newest lines, or those before an id. The end of a log is read first, and is here first. */
export async function loadLines(deploy: number, before?: number): Promise<LogPage> {
	const query = {
		type: 'deploy_log',
		deploy: `${deploy}`,
		order: 'desc',
		limit: PAGE_LINES,
		before,
	};
	const headers = { accept: 'application/json' };
	const page = await answer(api.GET('/api/events', { params: { query }, headers }));
	const lines = page.items.flatMap((event) => logLineOf(event, deploy) ?? []).reverse();
	return { lines, before: page.next ? Number(page.next) : undefined, as_of: page.as_of };
}

export function loadInstances(project: string): Promise<{ items: Instance[]; as_of: Position }> {
	return answer(api.GET('/api/instances', { params: { query: { project } } }));
}
