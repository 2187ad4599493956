import { answer, api } from '$lib/api/client';
import type {
	Delivery,
	DeliveryDetail,
	DryRun,
	DryRunRequest,
	Pipeline,
	Plugin,
	Position,
	Secret,
} from '$lib/api/schema';
import { loadSecrets } from '$lib/secrets/load';

const LATEST = 20;
/** Of a sink, to begin with, and so many more at a time; the server hands over no more at once. */
export const ROWS = 50;
export const ROWS_MAX = 500;

export interface PluginsPage {
	plugins: Plugin[];
	pipelines: Pipeline[];
	/** Newest first. */
	deliveries: Delivery[];
	secrets: Secret[];
	as_of: Position;
}

export interface PluginPage {
	plugin: Plugin;
	/** All: its pipelines name others. */
	plugins: Plugin[];
	/** Those that use it. */
	pipelines: Pipeline[];
	/** Of a sink: its dead letters, which somebody has to look at, then the others, newest first. */
	deliveries: Delivery[];
	/** The server has older ones. */
	more: boolean;
	as_of: Position;
}

export async function loadPlugins(): Promise<PluginsPage> {
	const [plugins, pipelines, deliveries, secrets] = await Promise.all([
		answer(api.GET('/api/plugins')),
		answer(api.GET('/api/pipelines')),
		answer(api.GET('/api/deliveries', { params: { query: { limit: LATEST } } })),
		loadSecrets(),
	]);
	return {
		plugins: plugins.items,
		pipelines: pipelines.items,
		deliveries: deliveries.items,
		secrets,
		as_of: oldest([plugins.as_of, pipelines.as_of, deliveries.as_of]),
	};
}

/** The plugin of this name. A file's name means the plugin that uses it, once there is one. */
export async function loadPlugin(name: string, rows = ROWS): Promise<PluginPage> {
	const ofSink = { sink: name, limit: rows };
	const [plugins, pipelines, dead, latest] = await Promise.all([
		answer(api.GET('/api/plugins')),
		answer(api.GET('/api/pipelines')),
		answer(api.GET('/api/deliveries', { params: { query: { ...ofSink, status: 'dead' } } })),
		answer(api.GET('/api/deliveries', { params: { query: ofSink } })),
	]);
	const plugin =
		plugins.items.find((one) => one.name === name) ??
		plugins.items.find((one) => one.file === name) ??
		(await answer(api.GET('/api/plugins/{name}', { params: { path: { name } } })));
	return {
		plugin,
		plugins: plugins.items,
		pipelines: pipelines.items.filter((pipeline) => uses(pipeline, name)),
		deliveries: once([...dead.items, ...latest.items]),
		more: dead.next != null || latest.next != null,
		as_of: oldest([plugins.as_of, pipelines.as_of, dead.as_of, latest.as_of]),
	};
}

export function loadDelivery(id: string): Promise<DeliveryDetail> {
	return answer(api.GET('/api/deliveries/{id}', { params: { path: { id } } }));
}

export function replay(id: string): Promise<Delivery> {
	return answer(api.POST('/api/deliveries/{id}/replay', { params: { path: { id } } }));
}

export function replayAll(sink: string) {
	return answer(api.POST('/api/plugins/{name}/replay', { params: { path: { name: sink } } }));
}

/** What was shown, and nothing that it asks for by now. */
export function grant({ name, missing_grants }: Plugin) {
	const wish = { params: { path: { name } }, body: { seen: missing_grants } };
	return answer(api.POST('/api/plugins/{name}/grant', wish));
}

export function resume(plugin: string): Promise<Plugin> {
	return answer(api.POST('/api/plugins/{name}/resume', { params: { path: { name: plugin } } }));
}

export function sendTest(name: string) {
	return answer(api.POST('/api/plugins/{name}/test', { params: { path: { name } } }));
}

/** What a dry run is of. */
export interface Tried {
	kind: 'plugins' | 'pipelines';
	name: string;
}

export function dryRun({ kind, name }: Tried, body: DryRunRequest): Promise<DryRun> {
	return answer(api.POST(`/api/${kind}/{name}/dry-run`, { params: { path: { name } }, body }));
}

function uses({ steps, sinks }: Pipeline, plugin: string): boolean {
	return sinks.includes(plugin) || steps.some((step) => step.plugin === plugin);
}

/** A dead letter is among the latest, too. */
function once(deliveries: Delivery[]): Delivery[] {
	const seen = new Set<string>();
	return deliveries.filter(({ id }) => !seen.has(id) && seen.add(id));
}

/** What happened after the oldest of several answers may be missing in it. */
function oldest([first, ...others]: [Position, ...Position[]]): Position {
	return others.reduce((least, position) => (position.id < least.id ? position : least), first);
}
