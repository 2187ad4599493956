import { render, screen } from '@testing-library/svelte';
import { afterEach, expect, it, vi } from 'vitest';
import { api } from '$lib/api/client';
import Problem from './Problem.svelte';

afterEach(() => vi.unstubAllGlobals());

/** The deploy is asked for; the server answers so, or not at all. */
async function show(answer: () => Promise<Response>) {
	vi.stubGlobal('fetch', answer);
	const params = { path: { project: 'shop' } };
	const deploy = api.POST('/api/projects/{project}/deploys', { params, body: {} });
	const error = await deploy.catch((error: unknown) => error);
	render(Problem, { what: 'The deploy could not be started', error });
	return screen.getByRole('alert');
}

it('says what could not be done, and why', async () => {
	const problem = { detail: 'deploy `3` is under way', code: 'conflict' };
	const shown = await show(async () => Response.json(problem, { status: 409 }));
	expect(shown).toHaveTextContent('The deploy could not be started deploy 3 is under way');
});

it('does not say that something was not done when no answer came', async () => {
	const shown = await show(() => Promise.reject(new TypeError('network changed')));
	expect(shown).not.toHaveTextContent('could not be started');
	expect(shown).toHaveTextContent('It is not known whether this was done no answer came');
});
