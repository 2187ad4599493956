import { onTestFinished, vi } from 'vitest';
import type { Event } from '$lib/api/schema';
import type { LiveStatus, Watch } from '$lib/live/live.svelte';
import { deploy, logLines } from './example';
import { FollowedDeploy } from './followed.svelte';

/** The server's side: its deploy, its log, and the watch that was opened. */
export const server = {
	deploy: deploy(),
	log: [] as Event[],
	refuses: false,
	watches: [] as Watch[],
	live: {
		status: { kind: 'live' } as LiveStatus,
		watch: (watch: Watch) => (server.watches.push(watch), () => {}),
	},
	tell: (...events: Event[]) => server.watches.at(-1)?.onEvents(events),
};

/** Begins a test: everything is as it was. */
export function serve(): void {
	Object.assign(server, { deploy: deploy(), log: [], refuses: false, watches: [] });
	vi.stubGlobal('fetch', async ({ url }: Request) => reply(url));
}

export function reply(url: string): Response {
	if (server.refuses) return Response.json({ detail: 'the store is busy' }, { status: 503 });
	const { pathname, searchParams } = new URL(url);
	const as_of = server.deploy.as_of;
	if (pathname === '/api/deploys/7') return Response.json(server.deploy);
	if (pathname === '/api/instances') return Response.json({ items: [], as_of });
	const before = Number(searchParams.get('before') ?? Infinity);
	const older = server.log.filter(({ id }) => id < before).reverse();
	const items = older.slice(0, 2);
	return Response.json({ items, next: older.length > 2 ? `${items.at(-1)?.id}` : null, as_of });
}

/** Follows until the test is over. */
export function follow(): FollowedDeploy {
	const page = { lines: logLines(9, 10), before: undefined, as_of: { journal: 'j', id: 12 } };
	const followed = new FollowedDeploy(server.live, deploy(), page);
	onTestFinished(followed.start());
	return followed;
}

export const ids = ({ feed }: FollowedDeploy) => feed.log.lines.map(({ id }) => id);
