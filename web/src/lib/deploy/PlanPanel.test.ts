import { render, screen } from '@testing-library/svelte';
import { expect, it } from 'vitest';
import type { Plan } from '$lib/api/schema';
import PlanPanel from './PlanPanel.svelte';

it('a plan may say the same warning twice', () => {
	const warning = 'host port 8080 is published by container `db` now';
	const summary = 'starts the first instance; nothing is replaced';
	const plan: Plan = {
		strategy: 'stop-first',
		downtime: false,
		summary,
		warnings: [warning, warning],
	};
	render(PlanPanel, { plan });
	expect(screen.getAllByRole('listitem')).toHaveLength(2);
});
