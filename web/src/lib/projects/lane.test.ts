import { describe, expect, it } from 'vitest';
import type { Instance, LaneView } from '$lib/api/schema';
import { laneHref, laneState, upSince } from './lane';

const lane = (...instances: Partial<Instance>[]) => ({ instances }) as LaneView;

describe('a lane', () => {
	it('is as good as its worst instance', () => {
		const good = { status: 'running', health: 'healthy' } as const;
		expect(laneState(lane(good)).word).toBe('healthy');
		expect(laneState(lane(good, { status: 'running', health: 'unhealthy' })).word).toBe(
			'unhealthy',
		);
		expect(laneState(lane(good, { status: 'exited', oom_killed: true })).word).toBe('oom');
		expect(laneState(lane({ status: 'running', health: 'none' })).word).toBe('running');
	});

	it('is in a bad way when what served has ended', () => {
		const ended = lane({ status: 'exited', generation: 1 });
		expect(laneState({ ...ended, generation: 1 }).tone).toBe('err');
		expect(laneState(ended).tone).toBe('muted');
	});

	it('is not what a deploy that failed left beside the instance that serves', () => {
		const old = { status: 'running', health: 'healthy', generation: 1 } as const;
		const tried = { status: 'exited', generation: 2 } as const;
		expect(laneState({ ...lane(old, tried), generation: 1 }).word).toBe('healthy');
		expect(laneState({ ...lane(tried), generation: null }).word).toBe('exited');
	});

	it('tells one that never ran from one that does not run', () => {
		expect(laneState(lane()).word).toBe('never deployed');
		expect(laneState({ ...lane(), latest_deploy: {} } as LaneView).word).toBe('not running');
	});

	it('says when it is only what was last known', () => {
		expect(laneState(lane({ status: 'running', health: 'none', stale: true })).stale).toBe(true);
	});

	it('is up since its youngest running instance', () => {
		const at = (started_at: string, status: Instance['status'] = 'running') => ({
			started_at,
			status,
		});
		const shown = lane(
			at('2026-01-01T00:00:00Z'),
			at('2026-01-02T00:00:00Z'),
			at('2026-01-03T00:00:00Z', 'exited'),
		);
		expect(upSince(shown)).toBe('2026-01-02T00:00:00Z');
	});

	it('has a page of its own', () => {
		expect(laneHref('shop', 'prod')).toBe('/projects/shop');
		expect(laneHref('shop', 'dev')).toBe('/projects/shop?stage=dev');
	});
});
