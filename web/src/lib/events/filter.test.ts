import { describe, expect, it } from 'vitest';
import type { Event } from '$lib/api/schema';
import { fact } from '$lib/live/fake-events';
import { addressOf, filterOf, isUsual, matches, queryOf } from './filter';

const filter = (query: string) => filterOf(new URLSearchParams(query));
const event = (subject: string, change: Partial<Event> = {}) =>
	({ ...fact(1), subject, ...change }) as Event;

describe('the filter in the URL', () => {
	it('reads repeated and comma-separated values, and writes them back', () => {
		const read = filter('type=deploy_status,system&type=audit&project=shop&severity=warning');
		expect(read.type).toEqual(['deploy_status', 'system', 'audit']);
		expect(queryOf(read)).toEqual({
			type: 'deploy_status,system,audit',
			project: 'shop',
			severity: 'warning',
		});
	});

	it('names each value once, however often the address does', () => {
		const read = filter('deploy=5,5&deploy=5&stage=prod,dev&stage=prod');
		expect(read.deploy).toEqual(['5']);
		expect(read.stage).toEqual(['prod', 'dev']);
	});

	it('leaves out what the server would refuse', () => {
		expect(isUsual(filter('type=nonsense&severity=loud&deploy=abc&x=y'))).toBe(true);
	});

	it('leaves debug out until it is asked for, and then says so', () => {
		const usual = filter('project=shop');
		expect(queryOf(usual)).toMatchObject({ severity: 'info' });
		expect(addressOf(usual)).toBe('/events?project=shop');
		expect(addressOf({ ...usual, severity: 'debug' })).toBe('/events?project=shop&severity=debug');
		expect(isUsual(filter('severity=debug'))).toBe(false);
	});
});

describe('what the filter lets through', () => {
	it('is everything but log lines without a type', () => {
		expect(matches(filter(''), event('server'))).toBe(true);
		expect(matches(filter(''), event('a/prod/deploys/1', { type: 'deploy_log' } as never))).toBe(
			false,
		);
	});

	it('goes by the lane, deploy and instance of the subject', () => {
		const deploy = event('shop/prod/deploys/17');
		expect(matches(filter('project=shop&stage=prod&deploy=17'), deploy)).toBe(true);
		expect(matches(filter('deploy=1'), deploy)).toBe(false);
		expect(matches(filter('stage=dev'), deploy)).toBe(false);
		expect(matches(filter('instance=db'), event('instances/db'))).toBe(true);
		expect(matches(filter('instance=web-1,db'), event('shop/prod/instances/web-1'))).toBe(true);
	});

	it('does not take the server or a plugin for a project', () => {
		expect(matches(filter('project=server'), event('server'))).toBe(false);
		expect(matches(filter('project=plugins'), event('plugins/slack'))).toBe(false);
		expect(
			matches(filter('project=shop'), event('shop', { type: 'project_status' } as never)),
		).toBe(true);
	});

	it('shows a severity and all above it', () => {
		expect(matches(filter('severity=warning'), event('server', { severity: 'info' }))).toBe(false);
		expect(matches(filter('severity=warning'), event('server', { severity: 'critical' }))).toBe(
			true,
		);
		const debug = event('server', { severity: 'debug' });
		expect(matches(filter(''), debug)).toBe(false);
		expect(matches(filter('severity=debug'), debug)).toBe(true);
	});
});
