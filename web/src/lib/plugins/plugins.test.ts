import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import DeliveryItem from './DeliveryItem.svelte';
import { delivery, pipeline, plugin } from './example';
import PipelineFlow from './PipelineFlow.svelte';
import ReplayAll from './ReplayAll.svelte';
import SendTest from './SendTest.svelte';
import { throttleWords, whenWords } from './when';

let asked: string[];
let reply: () => Response;

beforeEach(() => {
	asked = [];
	vi.stubGlobal('fetch', async ({ method, url, headers }: Request) => {
		asked.push(
			`${method} ${url.replace(/.*\/api/, '')} ${headers.get('content-type') ?? ''}`.trim(),
		);
		return reply();
	});
});
afterEach(() => vi.unstubAllGlobals());

it('what enters a pipeline is said in words', () => {
	expect(
		whenWords({ type: ['a', 'b'], project: ['shop-*'], stage: [], severity: 'warning' }),
	).toEqual(['a or b', 'project shop-*', 'warning and worse']);
	expect(whenWords({})).toEqual([]);
	expect(whenWords(undefined)).toEqual([]);
	expect(whenWords({ planned: true })).toEqual(['what our deploys do, too']);
});

it('how a pipeline throttles is said in words', () => {
	const throttle = {
		startup_grace_s: 30,
		once_per: ['subject', 'payload.reason'],
		cooldown_s: 600,
		batch: { events: 20, wait_s: 60 },
	};
	expect(throttleWords(pipeline(throttle))).toEqual([
		'no instance in the first 30 s after a start',
		'once per subject, payload.reason in 10 min',
		'20 together, or after 1 min',
	]);
	expect(throttleWords(pipeline())).toEqual([]);
});

describe('a pipeline', () => {
	it('is drawn from its condition over its steps to its sinks', () => {
		render(PipelineFlow, {
			pipeline: pipeline(),
			plugins: [plugin('rules', { role: 'filter' }), plugin('slack')],
		});
		const names = screen.getAllByRole('link').map((link) => link.textContent);
		expect(names).toEqual(['rules', 'slack']);
		expect(screen.getByText(/deploy_status, warning and worse/)).toBeVisible();
		expect(screen.getByText(/12 events seen/)).toHaveTextContent('1 dropped · up to date');
		expect(screen.getByText('quiet hours')).toBeInTheDocument();
	});

	it('tells of events that were gone before it saw them', () => {
		render(PipelineFlow, { pipeline: pipeline({ skipped: 1_204 }), plugins: [] });
		expect(screen.getByText(/Up to 1,204 events skipped/)).toBeVisible();
	});

	it('shows which plugin it misses', () => {
		render(PipelineFlow, { pipeline: pipeline({ steps: [] }), plugins: [] });
		const [slack] = screen.getAllByText('slack');
		expect(slack?.parentElement).toHaveTextContent('missing');
	});
});

describe('a delivery', () => {
	it('shows its attempts when it is opened', async () => {
		const attempts = [
			{ at: delivery().created_at, outcome: 'retry', reason: '503', latency_ms: 5 },
		];
		reply = () => Response.json({ ...delivery(), attempt_list: attempts });
		render(DeliveryItem, { delivery: delivery(), onchange: () => {} });
		expect(asked).toEqual([]);
		await userEvent.setup().click(screen.getByRole('button', { name: 'Attempts' }));
		expect(await screen.findByText('503')).toBeVisible();
		expect(asked).toEqual(['GET /deliveries/d1']);
	});

	it('that is dead can be replayed', async () => {
		reply = () => Response.json(delivery({ status: 'pending' }), { status: 202 });
		const onchange = vi.fn();
		render(DeliveryItem, { delivery: delivery(), onchange });
		await userEvent.setup().click(screen.getByRole('button', { name: 'Replay' }));
		expect(asked).toEqual(['POST /deliveries/d1/replay application/json']);
		expect(onchange).toHaveBeenCalledOnce();
	});

	it('that are dead can all be replayed', async () => {
		reply = () => Response.json({ replayed: 3, left: 2 }, { status: 202 });
		const onchange = vi.fn();
		render(ReplayAll, { sink: 'slack', dead: 5, onchange });
		await userEvent
			.setup()
			.click(screen.getByRole('button', { name: 'Replay all 5 dead letters' }));
		expect(asked[0]).toMatch('POST /plugins/slack/replay');
		expect(onchange).toHaveBeenCalledOnce();
		expect(screen.getByRole('status')).toHaveTextContent('2 dead letters stayed');
	});

	it('that cannot all be replayed say why', async () => {
		const problem = { status: 404, code: 'not_found', detail: 'plugin `slack` does not exist' };
		reply = () => Response.json(problem, { status: 404 });
		render(ReplayAll, { sink: 'slack', dead: 1, onchange: () => {} });
		await userEvent.setup().click(screen.getByRole('button', { name: 'Replay the dead letter' }));
		expect(await screen.findByRole('alert')).toHaveTextContent('plugin slack does not exist');
	});

	it('that was delivered cannot', () => {
		render(DeliveryItem, { delivery: delivery({ status: 'delivered' }), onchange: () => {} });
		expect(screen.queryByRole('button', { name: 'Replay' })).toBeNull();
		expect(screen.queryByText('channel_not_found')).toBeNull();
	});
});

describe('a test of a sink', () => {
	it('shows what really came of it', async () => {
		reply = () =>
			Response.json({
				outcome: 'reject',
				detail: 'answered 404: channel_not_found',
				latency_ms: 80,
				requests: [
					{ method: 'POST', url: 'https://hooks.slack.com/services/{secret:SLACK}', status: 404 },
				],
			});
		const onchange = vi.fn();
		render(SendTest, { plugin: 'slack', onchange });
		await userEvent.setup().click(screen.getByRole('button', { name: 'Send test' }));
		const outcome = within(await screen.findByRole('status'));
		expect(await outcome.findByText('The target refused it')).toBeVisible();
		expect(outcome.getByText('answered 404: channel_not_found')).toBeVisible();
		expect(outcome.getByRole('listitem')).toHaveTextContent(/^POST 404 https:..hooks/);
		expect(onchange).toHaveBeenCalledOnce();
	});

	it('says why it could not be sent', async () => {
		const problem = { title: 'Conflict', status: 409, code: 'not_running', detail: 'it rests' };
		reply = () => Response.json(problem, { status: 409 });
		render(SendTest, { plugin: 'slack', onchange: () => {} });
		await userEvent.setup().click(screen.getByRole('button', { name: 'Send test' }));
		expect(await screen.findByText('it rests')).toBeVisible();
	});
});
