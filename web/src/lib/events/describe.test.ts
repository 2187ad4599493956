import { describe as group, expect, it } from 'vitest';
import type { Event } from '$lib/api/schema';
import { describe } from './describe';

function event(type: string, payload: object): Event {
	return { id: 1, type, payload } as unknown as Event;
}

group('an event in one line', () => {
	it('says that a stage is well again', () => {
		const payload = { deploy_id: 18, project: 'shop', stage: 'prod', status: 'succeeded' };
		expect(describe(event('deploy_status', payload))).toBe('Deploy 18: succeeded');
		expect(describe(event('deploy_status', { ...payload, recovered: true }))).toBe(
			'Deploy 18: succeeded, shop/prod is well again',
		);
	});

	it('says that a deploy waits for connections to end', () => {
		const draining = { deploy_id: 18, project: 'shop', stage: 'prod', status: 'draining' };
		expect(describe(event('deploy_status', draining))).toBe('Deploy 18: draining');
		const done = { step: 'drain', step_status: 'succeeded', duration_ms: 1_200 };
		expect(describe(event('deploy_status', { ...draining, ...done }))).toBe(
			'Deploy 18: drain succeeded in 1.2 s',
		);
	});

	it('says that an end belongs to a crash loop', () => {
		const payload = { name: 'web', status: 'exited', reason: 'unexpected_exit', exit_code: 3 };
		expect(describe(event('instance_status', payload))).toBe(
			'Instance web unexpected exit (exit code 3)',
		);
		const looping = { ...payload, crash_loop_since: '2026-01-01T00:00:00.000Z' };
		expect(describe(event('instance_status', looping))).toBe(
			'Instance web unexpected exit (exit code 3, in a crash loop)',
		);
	});
});
