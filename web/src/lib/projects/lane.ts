import type { Instance, LaneView, Project } from '$lib/api/schema';
import { toneOf, type Tone } from '$lib/ui/tone';

/** A stage of a project, as lists show it: one row each. */
export interface Lane extends LaneView {
	project: string;
	/** Its project has other stages: the name alone does not say which this is. */
	oneOfMany: boolean;
}

export function lanesOf(projects: Project[]): Lane[] {
	return projects.flatMap(({ name, stages }) =>
		stages.map((stage) => ({ ...stage, project: name, oneOfMany: stages.length > 1 })),
	);
}

/** A lane's own page; the first stage needs no query. */
export function laneHref(project: string, stage: string): string {
	const query = stage === 'prod' ? '' : `?stage=${encodeURIComponent(stage)}`;
	return `/projects/${encodeURIComponent(project)}${query}`;
}

/** The one word for how an instance is: its health where it runs and is checked. */
export function instanceWord(instance: Instance): string {
	const { status, health, oom_killed: oom, crash_loop_since: loops } = instance;
	if (loops && (status === 'running' || status === 'restarting')) return 'crash_loop';
	if (status === 'running' && health !== 'none') return health;
	if (status === 'exited' && oom) return 'oom';
	return status;
}

/** Worst first: a lane is as good as its worst instance. */
const WORST = [
	'dead',
	'oom',
	'exited',
	'crash_loop',
	'unhealthy',
	'restarting',
	'paused',
	'created',
	'starting',
];

/** The instances that a lane lives by: not one that is being tried, or was and failed. */
export function serving({ instances, generation }: LaneView): Instance[] {
	return generation == null ? instances : instances.filter((one) => one.generation === generation);
}

interface LaneState {
	word: string;
	tone: Tone;
	/** Only the last that was known. */
	stale: boolean;
}

/** How a lane is. What has ended is bad news where it served, and none where it never did. */
export function laneState(lane: LaneView): LaneState {
	const instances = serving(lane);
	const words = instances.map(instanceWord);
	const stale = instances.some((instance) => instance.stale ?? false);
	const word =
		WORST.find((bad) => words.includes(bad)) ??
		words[0] ??
		(lane.latest_deploy ? 'not running' : 'never deployed');
	const ended = word === 'exited' && lane.generation != null;
	return { word, tone: ended ? 'err' : toneOf(word), stale };
}

/** Since when all instances that serve have been up. */
export function upSince(lane: LaneView): string | undefined {
	const running = serving(lane).filter(({ status }) => status === 'running');
	const starts = running.flatMap(({ started_at: at }) => at ?? []);
	return starts.sort().at(-1);
}
