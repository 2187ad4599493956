import type {
	Delivery,
	DeployStatus,
	DeploySummary,
	Instance,
	Plugin,
	PluginState,
	Project,
} from '$lib/api/schema';
import { instanceWord, laneHref, lanesOf, serving, type Lane } from '$lib/projects/lane';
import { count, words } from '$lib/ui/format';

/** Something that a person should look at now. */
export interface Concern {
	key: string;
	/** The state's word, for icon and colour. */
	status: string;
	what: string;
	why?: string;
	href: string;
}

interface Known {
	projects: Project[];
	plugins: Plugin[];
	/** The newest deliveries that were given up: there may be more than a page of them. */
	dead: Delivery[];
}

/** What is said of a deploy that ended without its lane being where it should. */
const FAILED_DEPLOY: Partial<Record<DeployStatus, string>> = {
	failed: 'failed',
	rolled_back: 'was rolled back',
};
const SICK_INSTANCE = new Set(['unhealthy', 'restarting', 'exited', 'dead', 'oom', 'crash_loop']);
const SICK_PLUGIN = new Set<PluginState>(['failed', 'quarantined', 'missing']);

export function concernsOf({ projects, plugins, dead }: Known): Concern[] {
	return [
		...lanesOf(projects).flatMap(concernsOfLane),
		...plugins.filter(({ state }) => SICK_PLUGIN.has(state)).map(sickPlugin),
		...deadDeliveries(dead, plugins),
	];
}

function concernsOfLane(lane: Lane): Concern[] {
	const deploy = lane.latest_deploy;
	const failed = deploy && FAILED_DEPLOY[deploy.status] ? deploy : undefined;
	const href = laneHref(lane.project, lane.stage);
	return [
		...(failed ? [failedDeploy(failed)] : []),
		...serving(lane)
			// Of an instance that a failed deploy has tried, the deploy tells.
			.filter(({ stale, deploy }) => !stale && (!failed || deploy !== failed.id))
			.filter((instance) => SICK_INSTANCE.has(instanceWord(instance)))
			.map((instance) => sickInstance(instance, href)),
	];
}

function failedDeploy(deploy: DeploySummary): Concern {
	const { status } = deploy;
	return {
		key: `deploy-${deploy.id}`,
		status,
		what: `Deploy ${deploy.id} of ${deploy.project}/${deploy.stage} ${FAILED_DEPLOY[status]}`,
		why: deploy.reason ?? undefined,
		href: `/deploys/${deploy.id}`,
	};
}

function sickInstance(instance: Instance, href: string): Concern {
	const word = instanceWord(instance);
	const restarts =
		instance.restart_count > 0 ? count(instance.restart_count, 'restart') : undefined;
	const exit =
		instance.exit_code != null && instance.status !== 'running'
			? `exit code ${instance.exit_code}`
			: undefined;
	return {
		key: `instance-${instance.id}`,
		status: word === 'exited' ? 'unexpected_exit' : word,
		what: `Instance ${instance.name}: ${word === 'oom' ? 'out of memory' : words(word)}`,
		why: [exit, restarts].filter(Boolean).join(', ') || undefined,
		href,
	};
}

function sickPlugin(plugin: Plugin): Concern {
	return {
		key: `plugin-${plugin.name}`,
		status: plugin.state,
		what: `Plugin ${plugin.name}: ${words(plugin.state)}`,
		why: plugin.error ?? undefined,
		href: `/plugins/${encodeURIComponent(plugin.name)}`,
	};
}

/** Of sinks that are there: nobody can replay those of others. */
function deadDeliveries(dead: Delivery[], plugins: Plugin[]): Concern[] {
	return plugins.flatMap(({ name: sink, queue }) => {
		const ofSink = dead.filter((delivery) => delivery.sink === sink);
		// Where the file of a plugin is missing, nobody knows that it is a sink with a queue.
		const number = queue?.dead ?? ofSink.length;
		if (number === 0) return [];
		return {
			key: `dead-${sink}`,
			status: 'dead',
			what: `${count(number, 'delivery', 'deliveries')} of ${sink} given up`,
			why: ofSink[0]?.last_error ?? undefined,
			href: `/plugins/${encodeURIComponent(sink)}`,
		};
	});
}
