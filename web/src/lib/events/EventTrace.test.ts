import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, expect, it, vi } from 'vitest';
import type { StepTrace, Trace } from '$lib/api/schema';
import { delivery } from '$lib/plugins/example';
import EventTrace from './EventTrace.svelte';

const decided_at = '2026-03-27T22:30:25.123Z';

function step(plugin: string, change: Partial<StepTrace>): StepTrace {
	const digest = 'ab'.repeat(32);
	return { plugin, version: '1.2.0', digest, decision: 'keep', duration_us: 42, ...change };
}

function trace(change: Partial<Trace> = {}): Trace {
	return { event: 7, pipelines: [], deliveries: [], ...change };
}

afterEach(() => vi.unstubAllGlobals());

function answers(...replies: (() => Response)[]) {
	vi.stubGlobal('fetch', async () => (replies.length > 1 ? replies.shift() : replies[0])?.());
}

it('every pipeline is told with its steps in order, and every delivery with its end', async () => {
	const told = trace({
		pipelines: [
			{
				pipeline: 'all',
				decided_at,
				outcome: 'passed',
				steps: [
					step('team', { decision: 'added', detail: '{"owner":"checkout"}' }),
					step('broken', { decision: 'failed', detail: 'it trapped (unreachable)' }),
				],
			},
			{
				pipeline: 'some',
				decided_at,
				outcome: 'dropped',
				steps: [{ plugin: 'once_per', decision: 'drop', detail: 'one passed', duration_us: 0 }],
			},
			{ pipeline: 'calm', decided_at, outcome: 'silent', steps: [] },
		],
		deliveries: [
			delivery({
				...{ id: 'a', pipeline: 'all', sink: 'hook', status: 'delivered', attempts: 1 },
				...{ version: '2.0.1', digest: 'cd'.repeat(32) },
			}),
			delivery({ id: 'b', pipeline: 'all', sink: 'chat', status: 'dead', attempts: 2 }),
		],
	});
	answers(() => Response.json(told));
	render(EventTrace, { event: 7 });
	const section = within(await screen.findByRole('region', { name: 'Pipelines of event 7' }));
	const lines = section.getAllByRole('listitem').map((it) => it.textContent);
	const words = lines.map((line) => line?.replace(/\s+/g, ' ').trim());
	expect(words[0]).toMatch(/^pipeline all went on to the sinks/);
	expect(words[1]).toMatch(/team adds {"owner":"checkout"} 42 µs/);
	expect(words[2]).toMatch(/broken fails it trapped \(unreachable\)/);
	expect(words[3]).toMatch(/^pipeline some dropped/);
	// A gate is no plugin: it has no version, and takes no time.
	expect(words[4]).toMatch(/once per drops it one passed$/);
	expect(words[5]).toMatch(/^pipeline calm silent: a deploy of ours caused it/);
	expect(words[6]).toMatch(/all → hook delivered 1 attempt$/);
	expect(words[7]).toMatch(/all → chat dead 2 attempts channel_not_found$/);
	expect(section.getByText('team')).toHaveAttribute('title', 'version 1.2.0, abababababab');
	const hook = section.getByRole('link', { name: 'hook' });
	expect(hook).toHaveAttribute('title', 'version 2.0.1, cdcdcdcdcdcd');
	expect(section.getByRole('link', { name: 'chat' })).toHaveAttribute('href', '/plugins/chat');
});

it('an event that no pipeline wanted has nothing to tell', async () => {
	const asked = vi.fn(() => Response.json(trace()));
	answers(asked);
	render(EventTrace, { event: 7 });
	await waitFor(() => expect(asked).toHaveBeenCalled());
	expect(screen.queryByRole('region')).toBeNull();
});

it('a trace that could not be loaded can be asked for again', async () => {
	const told = trace({
		pipelines: [{ pipeline: 'all', decided_at, outcome: 'passed', steps: [] }],
	});
	answers(
		() => Response.json({ title: 'Busy', detail: 'the store is busy' }, { status: 503 }),
		() => Response.json(told),
	);
	render(EventTrace, { event: 7 });
	expect(await screen.findByText(/could not be loaded/)).toBeVisible();
	await userEvent.setup().click(screen.getByRole('button', { name: /again/i }));
	expect(await screen.findByRole('region', { name: 'Pipelines of event 7' })).toBeVisible();
});
