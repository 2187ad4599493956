import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import DryRun from './DryRun.svelte';

let asked: string[];
let reply: () => Response;

beforeEach(() => {
	asked = [];
	vi.stubGlobal('fetch', async ({ method, url }: Request) => {
		asked.push(`${method} ${url.replace(/.*\/api/, '')}`);
		return reply();
	});
});
afterEach(() => vi.unstubAllGlobals());

describe('a dry run', () => {
	const step = {
		plugin: 'rules',
		decision: 'drop' as const,
		detail: 'no bad news',
		duration_us: 3,
	};
	const event = {
		id: 7,
		type: 'deploy_status',
		time: '2026-11-01T10:00:00.000Z',
		subject: 'shop/prod/deploys/1',
		severity: 'info',
		outcome: 'dropped',
		reason: 'no bad news',
		steps: [step],
		really: [
			{ pipeline: 'all', decided_at: '2026-11-01T10:00:00.001Z', outcome: 'passed', steps: [] },
		],
		differs: true,
	};
	const run = {
		since: '2026-11-01T00:00:00.000Z',
		until: '2026-11-02T00:00:00.000Z',
		complete: true,
		notes: [],
		summary: {
			events: 3,
			passed: 2,
			dropped: 1,
			silent: 0,
			held: 0,
			different: 1,
			deliveries: 0,
			failed_deliveries: 0,
		},
		plugins: [],
		events: [event],
		deliveries: [],
	};

	it('shows what would have been beside what was', async () => {
		reply = () => Response.json(run);
		render(DryRun, { tried: { kind: 'pipelines', name: 'all' } });
		await userEvent.click(screen.getByRole('button', { name: 'Dry run' }));
		expect(asked).toEqual(['POST /pipelines/all/dry-run']);
		expect(await screen.findByText(/3 events, 0 deliveries/)).toHaveTextContent(
			'1 went otherwise in reality',
		);
		expect(screen.getByRole('status')).toHaveTextContent(
			/^3 events, 0 deliveries, 1 went otherwise in reality$/,
		);
		expect(screen.getByText('really passed in all')).toBeInTheDocument();
		expect(screen.getByText(/no bad news/)).toBeInTheDocument();
	});

	it('says why it could not be', async () => {
		const detail = 'plugin `x` does not exist';
		reply = () => Response.json({ detail, code: 'not_found', status: 404 }, { status: 404 });
		render(DryRun, { tried: { kind: 'plugins', name: 'x' } });
		await userEvent.click(screen.getByRole('button', { name: 'Dry run' }));
		expect(await screen.findByRole('alert')).toHaveTextContent('does not exist');
	});
});
