import type { DeployStatus, StepName, Strategy } from '$lib/api/schema';

/** The way of a deploy by its strategy; `restore` and `rollback` only where it fails. */
const STEPS: Record<Strategy, StepName[]> = {
	'start-first': ['plan', 'pull', 'create', 'start', 'gate', 'replace', 'bake', 'retire'],
	'stop-first': ['plan', 'pull', 'create', 'replace', 'start', 'gate', 'bake', 'retire'],
	'port-hold': ['plan', 'pull', 'create', 'start', 'gate', 'replace', 'drain', 'bake', 'retire'],
};

/** Before it is planned, the way without detours. */
export function stepsOf(strategy?: Strategy | null): StepName[] {
	return STEPS[strategy ?? 'start-first'];
}

const STEP_OF: Partial<Record<DeployStatus, StepName>> = {
	planning: 'plan',
	pulling: 'pull',
	creating: 'create',
	starting: 'start',
	gating: 'gate',
	replacing: 'replace',
	draining: 'drain',
	baking: 'bake',
	retiring: 'retire',
	restoring: 'restore',
	rolling_back: 'rollback',
};

/** How many steps are done, as far as the status tells; none can be counted on the way back. */
export function stepsDone(
	steps: StepName[],
	status: DeployStatus,
	current?: StepName | null,
): number | undefined {
	if (status === 'succeeded') return steps.length;
	const step = STEP_OF[status] ?? current;
	if (!step) return 0;
	return steps.includes(step) ? steps.indexOf(step) : undefined;
}

export const ENDED: ReadonlySet<DeployStatus> = new Set<DeployStatus>([
	'succeeded',
	'failed',
	'cancelled',
	'rolled_back',
]);

export function hasEnded(status: DeployStatus): boolean {
	return ENDED.has(status);
}

/** Statuses of a deploy that has not ended, as the API's filter takes them. */
export const UNDER_WAY =
	'queued,planning,pulling,creating,starting,gating,replacing,draining,baking,retiring,restoring,rolling_back';
