import type { Event } from '$lib/api/schema';

export const TIME = '2026-03-27T22:30:25.123Z';

export function fact(id: number): Event {
	return {
		...common(id),
		type: 'system',
		payload: { what: 'started', message: 'the server has started' },
	};
}

export function logLine(id: number, deploy: number): Event {
	const payload = {
		deploy_id: deploy,
		line: `line ${id}`,
		step: 'pull',
		stream: 'stdout',
	} as const;
	return { ...common(id), type: 'deploy_log', payload };
}

function common(id: number) {
	return {
		id,
		time: TIME,
		recorded: TIME,
		node: 'n-1',
		subject: 'server',
		severity: 'info' as const,
		actor: { kind: 'system' as const, name: 'server' },
	};
}
