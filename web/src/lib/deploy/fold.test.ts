// @vitest-environment node
import { describe, expect, it } from 'vitest';
import type { Event, InstanceStatusPayload } from '$lib/api/schema';
import { at, deploy, logged, moved, step } from './example';
import { concerns, fold, foldInstance, wantsSnapshot } from './fold';

const planned = { step: 'plan', step_status: 'succeeded', duration_ms: 3 } as const;

describe('a deploy', () => {
	it('starts when its first step does', () => {
		const begun = fold(deploy(), moved(11, { step: 'plan', step_status: 'running' }));
		expect(begun).toMatchObject({ status: 'planning', started_at: at(11), current_step: 'plan' });
		expect(begun.steps).toEqual([{ name: 'plan', status: 'running', started_at: at(11) }]);
	});

	it('keeps the order of its steps, whichever ends', () => {
		const steps = [step('plan', 'running'), step('pull', 'pending')];
		const done = fold(deploy({ steps }), moved(12, { ...planned, message: 'starts' }));
		expect(done.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
			'plan succeeded',
			'pull pending',
		]);
		expect(done.steps[0]).toMatchObject({ duration_ms: 3, message: 'starts', ended_at: at(12) });
	});

	it('adds a step that nobody planned: bringing the old instance back', () => {
		const after = fold(
			deploy({ steps: [step('gate', 'failed')] }),
			moved(13, { status: 'restoring', step: 'restore', step_status: 'running' }),
		);
		expect(after.steps.map(({ name }) => name)).toEqual(['gate', 'restore']);
	});

	it('ends with its failure, and skips what it did not reach', () => {
		const failure = { step: 'gate', reason: 'exited', oom: false, log_tail: ['bye'] } as const;
		const steps = [step('gate', 'failed'), step('retire', 'pending')];
		const ended = fold(
			deploy({ steps, current_step: 'gate' }),
			moved(14, {
				status: 'failed',
				failure: { ...failure, log_tail: ['bye'] },
				message: 'exited',
			}),
		);
		expect(ended).toMatchObject({ status: 'failed', reason: 'exited', ended_at: at(14) });
		expect(ended.steps[1]?.status).toBe('skipped');
		expect(ended.current_step).toBeNull();
	});

	it('does not come back to life after its end', () => {
		const ended = deploy({ status: 'succeeded' });
		expect(fold(ended, moved(15, { step: 'gate', step_status: 'running' }))).toBe(ended);
	});

	it('is not changed by progress, log lines, or other deploys', () => {
		const before = deploy();
		const progress = { current_bytes: 1, total_bytes: 2, layers: [] };
		const others = [
			logged(11),
			moved(12, { deploy_id: 8 }),
			moved(13, { step: 'pull', step_status: 'running', progress }),
		];
		for (const event of others) expect(fold(before, event)).toBe(before);
	});

	it('comes to the same state when events are told twice', () => {
		const events = [moved(11, { step: 'plan', step_status: 'running' }), moved(12, planned)];
		const once = events.reduce(fold, deploy());
		expect([...events, ...events].reduce(fold, deploy()).steps).toEqual(once.steps);
	});
});

it('a snapshot is wanted where events do not say all: steps, identities, the end', () => {
	const plan = { strategy: 'start-first', downtime: false, summary: 's', warnings: [] } as const;
	expect(wantsSnapshot(moved(11, { plan: { ...plan, warnings: [] } }))).toBe(true);
	expect(wantsSnapshot(moved(11, { step: 'create', step_status: 'succeeded' }))).toBe(true);
	expect(wantsSnapshot(moved(11, { status: 'succeeded' }))).toBe(true);
	expect(wantsSnapshot(moved(11, { step: 'gate', step_status: 'running' }))).toBe(false);
});

describe('the container of a deploy', () => {
	const told = (change: Partial<InstanceStatusPayload>): Event => ({
		...moved(20, {}),
		type: 'instance_status',
		payload: {
			instance: 'c1',
			name: 'shop-prod-2-0',
			image: 'shop:2',
			status: 'running',
			health: 'starting',
			managed: true,
			oom_killed: false,
			planned: true,
			reason: 'started',
			restart_count: 0,
			source: 'event',
			deploy_id: 7,
			...change,
		},
	});

	it('is known from its first event, and followed', () => {
		const first = foldInstance(undefined, told({}), 7);
		expect(first).toMatchObject({ id: 'c1', status: 'running', health: 'starting' });
		expect(foldInstance(first, told({ health: 'healthy' }), 7)?.health).toBe('healthy');
	});

	it('is not another one', () => {
		const first = foldInstance(undefined, told({}), 7);
		const other = told({ instance: 'c2', deploy_id: 6 });
		expect(foldInstance(first, other, 7)).toBe(first);
		expect(concerns(other, 7, 'c1')).toBe(false);
	});
});
