import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, describe, expect, it, vi } from 'vitest';
import DeliveryItem from './DeliveryItem.svelte';
import { delivery, plugin } from './example';
import PluginFigures from './PluginFigures.svelte';
import Quarantine from './Quarantine.svelte';

afterEach(() => vi.unstubAllGlobals());

const facts = () =>
	Object.fromEntries(
		screen
			.getAllByRole('definition')
			.map((fact) => [
				fact.previousElementSibling?.textContent,
				fact.textContent?.replace(/\s+/g, ' ').trim(),
			]),
	);

it('what is counted of a plugin is shown in words', () => {
	render(PluginFigures, {
		plugin: plugin('hook', {
			calls: {
				total: 12_345,
				faults: 3,
				faults_by_kind: { over_cpu: 2, trap: 1 },
				drops: 0,
				p50_us: 0.5755,
				p95_us: 52,
				p99_us: 12_000,
			},
			memory: { guests: 2, bytes: 3_145_728, peak_bytes: 2_097_152 },
			http_requests: { '2xx': 8, timeout: 1 },
			deliveries: { sent: 7, failed: 1, dead: 0 },
			queue: { pending: 0, dead: 0 },
			last_fault: {
				at: new Date(Date.now() - 65_000).toISOString(),
				version: '1.2.0',
				kind: 'trap',
				text: 'it trapped (unreachable)',
			},
		}),
	});
	expect(facts()).toEqual({
		Calls: '12,345',
		Faults: '2 over cpu, 1 trap · last 1 min ago: it trapped (unreachable)',
		Duration: '0.6 µs median, 52 µs p95, 12 ms p99',
		Memory: '3.0 MiB in 2 instances, at most 2.0 MiB in one',
		Requests: '8 2xx, 1 timeout',
		Attempts: '7 sent, 1 failed, 0 given up',
		Queue: '0 waiting, 0 dead',
	});
});

it('a filter that nobody has called shows how little there is to tell', () => {
	render(PluginFigures, { plugin: plugin('rules', { role: 'filter' }) });
	expect(facts()).toEqual({
		Calls: '0, 0 drops',
		Faults: 'none',
		Memory: '0 B in 0 instances, at most 0 B in one',
	});
});

describe('a time that was to come', () => {
	const past = new Date(Date.now() - 60_000).toISOString();
	const ahead = new Date(Date.now() + 90_000).toISOString();

	it('is told of the rest of a plugin, and what follows it', async () => {
		const show = { state: 'quarantined', rests_until: ahead } as const;
		const { rerender } = render(Quarantine, { plugin: plugin('hook', show) });
		expect(screen.getByText(/is asked again/)).toHaveTextContent('asked again in 1 min.');
		await rerender({ plugin: plugin('hook', { ...show, rests_until: past }) });
		expect(screen.getByText(/is asked again/)).toHaveTextContent('again with the next event.');
	});

	it('is told of a next attempt, which is due afterwards', async () => {
		const retrying = { status: 'retrying', next_attempt_at: ahead } as const;
		const given = { delivery: delivery(retrying), onchange: () => {} };
		const { rerender } = render(DeliveryItem, given);
		expect(screen.getByText(/next attempt/)).toHaveTextContent('next attempt in 1 min');
		await rerender({ ...given, delivery: delivery({ ...retrying, next_attempt_at: past }) });
		expect(screen.getByText(/next attempt/)).toHaveTextContent('next attempt due');
	});

	it('is told of a queue that backs off', () => {
		const queue = { pending: 1, dead: 0, backing_off_until: past };
		render(PluginFigures, { plugin: plugin('hook', { queue }) });
		expect(facts().Queue).toBe('1 waiting, 0 dead · backing off, next attempt due');
	});
});

it('a plugin in quarantine can be asked again at once', async () => {
	const asked: string[] = [];
	vi.stubGlobal('fetch', async ({ method, url }: Request) => {
		asked.push(`${method} ${url.replace(/.*\/api/, '')}`);
		return Response.json(plugin('hook'));
	});
	render(Quarantine, { plugin: plugin('hook', { state: 'quarantined' }) });
	await userEvent.setup().click(screen.getByRole('button', { name: 'Resume now' }));
	expect(asked).toEqual(['POST /plugins/hook/resume']);
});
