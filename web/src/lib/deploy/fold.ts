import type {
	Deploy,
	DeployStatusPayload,
	Event,
	Instance,
	InstanceStatusPayload,
	Step,
	StepStatus,
} from '$lib/api/schema';
import { ENDED } from '$lib/deploys/steps';

export function hasEnded({ status }: Pick<Deploy, 'status'>): boolean {
	return ENDED.has(status);
}

/** The deploy after an event; the same object when the event changes nothing of it. */
export function fold(deploy: Deploy, event: Event): Deploy {
	if (event.type !== 'deploy_status' || event.payload.deploy_id !== deploy.id) return deploy;
	const { payload, time } = event;
	// What comes after the end is about nothing that is still to be decided.
	if (hasEnded(deploy) || payload.progress) return deploy;
	const moved = {
		...deploy,
		status: payload.status,
		strategy: payload.strategy ?? deploy.strategy,
		plan: payload.plan ?? deploy.plan,
	};
	if (hasEnded(payload)) return end(moved, payload, time);
	return payload.step ? step(moved, payload, time) : moved;
}

function step(deploy: Deploy, payload: DeployStatusPayload, time: string): Deploy {
	const { step: name, step_status: status } = payload;
	if (!name || !status) return deploy;
	const known = deploy.steps.find((step) => step.name === name);
	const changed = stepAfter(known ?? { name, status: 'pending' }, status, payload, time);
	const steps = known
		? deploy.steps.map((step) => (step === known ? changed : step))
		: [...deploy.steps, changed];
	return {
		...deploy,
		steps,
		started_at: deploy.started_at ?? time,
		current_step: status === 'running' ? name : deploy.current_step,
	};
}

function stepAfter(
	step: Step,
	status: StepStatus,
	payload: DeployStatusPayload,
	time: string,
): Step {
	if (status === 'running') return { ...step, status, started_at: time };
	const { duration_ms, message } = payload;
	return { ...step, status, ended_at: time, duration_ms, message: message ?? step.message };
}

function end(deploy: Deploy, { failure, message }: DeployStatusPayload, time: string): Deploy {
	const steps = deploy.steps.map((step) =>
		step.status === 'pending' ? { ...step, status: 'skipped' as const } : step,
	);
	return { ...deploy, steps, ended_at: time, failure, reason: message, current_step: null };
}

/** The event is about this deploy, or about the container that it made. */
export function concerns(event: Event, deploy: number, instance: string | undefined): boolean {
	if (event.type === 'deploy_status') return event.payload.deploy_id === deploy;
	if (event.type !== 'instance_status') return false;
	return event.payload.deploy_id === deploy || event.payload.instance === instance;
}

/** Events after which there is more to know than they say: identities, and the steps of the plan. */
export function wantsSnapshot(event: Event): boolean {
	if (event.type !== 'deploy_status') return false;
	const { plan, step, step_status, status } = event.payload;
	const identified = (step === 'pull' || step === 'create') && step_status === 'succeeded';
	return Boolean(plan) || identified || ENDED.has(status);
}

/** What is shown of the container that a deploy made. */
export type Candidate = Pick<
	Instance,
	'id' | 'name' | 'status' | 'health' | 'exit_code' | 'oom_killed' | 'restart_count' | 'stale'
>;

/** The container after an event about it. */
export function foldInstance(
	candidate: Candidate | undefined,
	event: Event,
	deploy: number,
): Candidate | undefined {
	if (event.type !== 'instance_status') return candidate;
	const { payload } = event;
	const ours = candidate ? payload.instance === candidate.id : payload.deploy_id === deploy;
	return ours ? candidateOf(payload) : candidate;
}

function candidateOf(payload: InstanceStatusPayload): Candidate {
	const { instance: id, name, status, health, exit_code, oom_killed, restart_count } = payload;
	return { id, name, status, health, exit_code, oom_killed, restart_count };
}
