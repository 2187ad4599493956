import type { DeployStatusPayload, Event, LogLine, Step } from '$lib/api/schema';
import type { LoadedDeploy } from './load';

/** A deploy that waits for its turn, as of event 10; for tests. */
export function deploy(change: Partial<LoadedDeploy> = {}): LoadedDeploy {
	return {
		id: 7,
		project: 'shop',
		stage: 'prod',
		image: 'shop:2',
		status: 'queued',
		generation: 2,
		actor: { kind: 'user', name: 'local' },
		created_at: at(0),
		spec: { image: 'shop:2' },
		steps: [],
		as_of: { journal: 'j', id: 10 },
		...change,
	};
}

export function step(name: Step['name'], status: Step['status']): Step {
	return { name, status };
}

/** The event `id` that says how the deploy moved on, at second `id`. */
export function moved(id: number, change: Partial<DeployStatusPayload>): Event {
	const payload: DeployStatusPayload = {
		deploy_id: 7,
		project: 'shop',
		stage: 'prod',
		generation: 2,
		image: 'shop:2',
		status: 'planning',
		...change,
	};
	return { ...common(id), type: 'deploy_status', payload };
}

export function logged(id: number, line = `line ${id}`): Event {
	const payload = { deploy_id: 7, step: 'start', stream: 'stdout', line } as const;
	return { ...common(id), type: 'deploy_log', payload };
}

export function logLines(from: number, to: number): LogLine[] {
	return Array.from({ length: to - from + 1 }, (_, index) => ({
		id: from + index,
		time: at(0),
		stream: 'stdout',
		step: 'start',
		line: `line ${from + index}`,
	}));
}

export function at(second: number): string {
	return new Date(Date.UTC(2026, 2, 27, 12, 0, second)).toISOString();
}

function common(id: number) {
	return {
		id,
		time: at(id),
		recorded: at(id),
		node: 'n-1',
		subject: 'shop/prod/deploys/7',
		severity: 'info' as const,
		actor: { kind: 'user' as const, name: 'local' },
	};
}
