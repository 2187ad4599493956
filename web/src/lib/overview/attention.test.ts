import { describe, expect, it } from 'vitest';
import type { Delivery, DeploySummary, Instance, Plugin, Project } from '$lib/api/schema';
import { concernsOf } from './attention';

const instance = (change: Partial<Instance>) =>
	({
		id: 'c1',
		name: 'shop-prod-1-0',
		status: 'running',
		health: 'healthy',
		restart_count: 0,
		oom_killed: false,
		stale: false,
		...change,
	}) as Instance;

const project = (instances: Instance[], deploy?: Partial<DeploySummary>) =>
	({
		name: 'shop',
		stages: [{ stage: 'prod', instances, latest_deploy: deploy }],
	}) as unknown as Project;

const concerns = (
	projects: Project[],
	plugins: Partial<Plugin>[] = [],
	dead: Partial<Delivery>[] = [],
) => concernsOf({ projects, plugins: plugins as Plugin[], dead: dead as Delivery[] });

describe('what needs attention', () => {
	it('is nothing while all is well', () => {
		const fine = project([instance({})], { status: 'succeeded' });
		expect(concerns([fine], [{ name: 'slack', state: 'running' }])).toEqual([]);
	});

	it('is a latest deploy that failed, with its reason', () => {
		const failed = {
			id: 7,
			project: 'shop',
			stage: 'prod',
			status: 'failed',
			reason: 'exit code 3',
		};
		const [concern] = concerns([project([], failed as DeploySummary)]);
		expect(concern).toMatchObject({ why: 'exit code 3', href: '/deploys/7' });
		expect(concern?.what).toBe('Deploy 7 of shop/prod failed');
	});

	it('is a latest deploy that was rolled back, in its own words', () => {
		const status = 'rolled_back';
		const reason = 'the new instance ended; the old instance serves again';
		const deploy = { id: 7, project: 'shop', stage: 'prod', status, reason } as DeploySummary;
		const tried = instance({ status: 'exited', exit_code: 3, deploy: 7 });
		expect(concerns([project([tried], deploy)])).toMatchObject([
			{ status, what: 'Deploy 7 of shop/prod was rolled back', why: reason, href: '/deploys/7' },
		]);
	});

	it('is the deploy, and not also the instance that it tried', () => {
		const failed = { id: 7, project: 'shop', stage: 'prod', status: 'failed' } as DeploySummary;
		const tried = instance({ status: 'exited', exit_code: 3, deploy: 7 });
		expect(concerns([project([tried], failed)])).toHaveLength(1);
	});

	it('is an instance that is unhealthy or has crashed', () => {
		const sick = [
			instance({ health: 'unhealthy' }),
			instance({ id: 'c2', status: 'exited', exit_code: 137, oom_killed: true }),
			instance({ id: 'c3', status: 'restarting', exit_code: 3, restart_count: 4 }),
			instance({ id: 'c4', exit_code: 0, restart_count: 5, crash_loop_since: '2026-01-01T00:00Z' }),
		];
		expect(concerns([project(sick)]).map(({ what, why }) => [what, why])).toEqual([
			['Instance shop-prod-1-0: unhealthy', undefined],
			['Instance shop-prod-1-0: out of memory', 'exit code 137'],
			['Instance shop-prod-1-0: restarting', 'exit code 3, 4 restarts'],
			['Instance shop-prod-1-0: crash loop', '5 restarts'],
		]);
	});

	it('is not what was last known of an engine that does not answer', () => {
		expect(concerns([project([instance({ status: 'exited', stale: true })])])).toEqual([]);
	});

	it('is a faulty plugin, and deliveries that were given up, one line per sink', () => {
		const dead = [
			{ sink: 'slack', last_error: 'invalid_token' },
			{ sink: 'slack' },
			{ sink: 'no longer configured' },
		];
		const plugins: Partial<Plugin>[] = [
			{ name: 'rules', state: 'quarantined', error: 'trap' },
			{ name: 'slack', state: 'running' },
		];
		const found = concerns([], plugins, dead);
		expect(found.map(({ what, why }) => [what, why])).toEqual([
			['Plugin rules: quarantined', 'trap'],
			['2 deliveries of slack given up', 'invalid_token'],
		]);
	});

	it('is every sink that gave up deliveries, also what no longer fits on a page of them', () => {
		const page = Array.from({ length: 100 }, () => ({ sink: 'slack', last_error: 'no_channel' }));
		const plugins: Partial<Plugin>[] = [
			{ name: 'slack', state: 'running', queue: { pending: 0, dead: 3_000 } },
			{ name: 'pager', state: 'running', queue: { pending: 0, dead: 2 } },
			{ name: 'mail', state: 'running', queue: { pending: 1, dead: 0 } },
		];
		const found = concerns([], plugins, page);
		expect(found.map(({ what, why }) => [what, why])).toEqual([
			['3,000 deliveries of slack given up', 'no_channel'],
			['2 deliveries of pager given up', undefined],
		]);
	});
});
