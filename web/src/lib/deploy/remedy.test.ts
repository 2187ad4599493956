// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { deploy, step } from './example';
import { afterwards, remedy } from './remedy';

const failure = { step: 'gate', reason: 'x', oom: false, log_tail: [] as string[] } as const;
const told = (change: object) => remedy({ ...failure, log_tail: [], ...change }, deploy());

describe('a failure says what can be done', () => {
	it.each([
		[{ oom: true, exit_code: 137 }, /memory limit/],
		[{ step: 'pull', reason: 'manifest unknown' }, /docker pull shop:2/],
		[
			{ step: 'start', reason: 'Bind for 0.0.0.0:80 failed: port is already allocated' },
			/host port/,
		],
		[{ exit_code: 127 }, /no such command/],
		[{ reason: 'its health check says unhealthy' }, /start period/],
		[{ reason: 'the probe did not pass 3 times in a row: refused' }, /0\.0\.0\.0/],
		[{ exit_code: 3 }, /last lines/],
		[{}, /deploy again/],
	])('%j', (change, expected) => expect(told(change)).toMatch(expected));
});

describe('after a failure it is said what serves', () => {
	const plan = { strategy: 'start-first', downtime: false, summary: '', warnings: [] } as const;
	const replacing = { ...plan, warnings: [], replaces: 'c0' };

	it('the old instance, untouched or brought back', () => {
		const steps = [step('gate', 'failed'), step('replace', 'skipped')];
		expect(afterwards({ plan: replacing, steps })).toMatch(/not touched/);
		const restored = [step('replace', 'succeeded'), step('restore', 'succeeded')];
		expect(afterwards({ plan: replacing, steps: restored })).toMatch(/serves again/);
	});

	it('the old instance, which held ports never let go', () => {
		const held = { ...replacing, strategy: 'port-hold' } as const;
		const steps = [step('gate', 'succeeded'), step('replace', 'failed')];
		expect(afterwards({ plan: held, steps })).toMatch(/serves on/);
		expect(afterwards({ plan: { ...held, strategy: 'stop-first' }, steps })).toMatch(/stopped/);
	});

	it('or nobody', () => {
		const lost = [step('replace', 'succeeded'), step('restore', 'failed')];
		expect(afterwards({ plan: replacing, steps: lost })).toMatch(/Nothing serves/);
		expect(afterwards({ plan: { ...plan, warnings: [] }, steps: [] })).toMatch(/Nothing serves/);
		expect(afterwards({ plan: null, steps: [] })).toMatch(/Nothing was changed/);
	});
});
