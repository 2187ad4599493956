import { render, screen } from '@testing-library/svelte';
import { expect, it } from 'vitest';
import type { DeploySummary } from '$lib/api/schema';
import RunningDeploys from './RunningDeploys.svelte';

function show(change: Partial<DeploySummary>) {
	const deploy: DeploySummary = {
		id: 7,
		project: 'shop',
		stage: 'prod',
		generation: 2,
		image: 'shop:2',
		strategy: 'stop-first',
		status: 'gating',
		actor: { kind: 'user', name: 'local' },
		created_at: '2026-03-27T22:30:25.123Z',
		...change,
	};
	render(RunningDeploys, { deploys: [deploy] });
	return screen.getByRole('link');
}

it('a deploy on its way shows how far it is', () => {
	show({ current_step: 'gate' });
	expect(screen.getByRole('img')).toHaveAccessibleName('5 of 8 steps done, now gate');
});

it('a deploy on its way back says so in words, and counts no steps', () => {
	const row = show({ status: 'rolling_back', current_step: 'rollback' });
	expect(row).toHaveTextContent('rolling back');
	expect(screen.queryByRole('img')).toBeNull();
});
