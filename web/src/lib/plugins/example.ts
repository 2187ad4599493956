import type { Delivery, Pipeline, Plugin } from '$lib/api/schema';

const time = '2026-03-27T22:30:25.123Z';

/** For tests. */
export function plugin(name: string, change: Partial<Plugin> = {}): Plugin {
	return {
		name,
		file: `${name}.wasm`,
		state: 'running',
		role: 'sink',
		asked: { http: [], secrets: [], store: false },
		granted: { http: [], networks: [], secrets: [] },
		missing_grants: [],
		calls: { total: 0, faults: 0, faults_by_kind: {}, drops: 0 },
		memory: { guests: 0, bytes: 0, peak_bytes: 0 },
		http_requests: {},
		recent_log: [],
		...change,
	} as Plugin;
}

export function pipeline(change: Partial<Pipeline> = {}): Pipeline {
	return {
		name: 'alerts',
		state: 'running',
		when: { type: ['deploy_status'], severity: 'warning' },
		steps: [{ plugin: 'rules', on_error: 'pass' }],
		sinks: ['slack'],
		batched: 0,
		cursor: 9,
		lag: 0,
		seen: 12,
		dropped: 1,
		skipped: 0,
		recent_drops: [{ event: 7, plugin: 'rules', reason: 'quiet hours', time }],
		...change,
	} as Pipeline;
}

export function delivery(change: Partial<Delivery> = {}): Delivery {
	return {
		id: 'd1',
		pipeline: 'alerts',
		sink: 'slack',
		status: 'dead',
		events: [7],
		attempts: 2,
		created_at: time,
		last_error: 'channel_not_found',
		...change,
	} as Delivery;
}
