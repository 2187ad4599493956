import { waitFor } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { answer, api, ApiError } from './client';

afterEach(() => {
	vi.unstubAllGlobals();
	vi.restoreAllMocks();
});

function serverSays(status: number, body: string, type = 'application/problem+json') {
	const response = new Response(body, { status, headers: { 'content-type': type } });
	vi.stubGlobal('fetch', () => Promise.resolve(response));
}

const refusal = () =>
	answer(api.GET('/api/projects/{project}', { params: { path: { project: 'shop' } } })).then(
		() => expect.fail('it should have been refused'),
		(error: ApiError) => error,
	);

const deploy = () =>
	api.POST('/api/projects/{project}/deploys', { params: { path: { project: 'shop' } }, body: {} });

/** A server that says nothing until it is given up. */
const hangs = ({ signal }: Request) =>
	new Promise<Response>((_, reject) =>
		signal.addEventListener('abort', () => reject(signal.reason as Error)),
	);

describe('the client', () => {
	it('hands over the body of a success', async () => {
		serverSays(200, '{"items":[],"as_of":{"journal":"j","id":1}}', 'application/json');
		expect((await answer(api.GET('/api/projects'))).items).toEqual([]);
	});

	it('carries the problem, and what was asked', async () => {
		serverSays(
			422,
			'{"title":"Unprocessable","status":422,"detail":"/spec/image: no","code":"invalid","errors":[{"field":"/spec/image","message":"no"}]}',
		);
		const error = await refusal();
		expect(error).toBeInstanceOf(ApiError);
		expect(error.message).toBe('/spec/image: no');
		expect(`${error.method} ${error.path}`).toBe('GET /api/projects/shop');
		expect(error.fields).toEqual([{ field: '/spec/image', message: 'no' }]);
	});

	it('explains an answer that is not a problem', async () => {
		serverSays(502, '<html>bad gateway</html>', 'text/html');
		const error = await refusal();
		expect(error.status).toBe(502);
		expect(error.message).toContain('status 502');
	});

	it('asks again when a request was lost on its way', async () => {
		let asked = 0;
		vi.stubGlobal('fetch', () => {
			asked += 1;
			if (asked === 1) return Promise.reject(new TypeError('network changed'));
			return Promise.resolve(Response.json({ items: [], as_of: { journal: 'j', id: 1 } }));
		});
		expect((await answer(api.GET('/api/projects'))).items).toEqual([]);
		expect(asked).toBe(2);
	});

	it('gives up a request that hangs, and does not ask again', async () => {
		const late = new AbortController();
		vi.spyOn(AbortSignal, 'timeout').mockReturnValue(late.signal);
		const asked = vi.fn(hangs);
		vi.stubGlobal('fetch', asked);
		const refused = refusal();
		await waitFor(() => expect(asked).toHaveBeenCalledTimes(1));
		late.abort(new DOMException('it took too long', 'TimeoutError'));
		expect((await refused).problem.code).toBe('unreachable');
		expect(asked).toHaveBeenCalledTimes(1);
	});

	it('never repeats what changes something, and does not say that it was not done', async () => {
		const lost = vi.fn(() => Promise.reject(new TypeError('network changed')));
		vi.stubGlobal('fetch', lost);
		await expect(deploy()).rejects.toThrow('it may have been done');
		expect(lost).toHaveBeenCalledTimes(1);
	});

	it('does not wait for ever for the answer to what changes something', async () => {
		const late = new AbortController();
		const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(late.signal);
		const asked = vi.fn(hangs);
		vi.stubGlobal('fetch', asked);
		const refused = expect(deploy()).rejects.toThrow('it may have been done');
		await waitFor(() => expect(asked).toHaveBeenCalledTimes(1));
		expect(timeout).toHaveBeenCalledExactlyOnceWith(60_000);
		late.abort(new DOMException('it took too long', 'TimeoutError'));
		await refused;
		expect(asked).toHaveBeenCalledTimes(1);
	});

	it('names its type on every write, also on one without a body', async () => {
		const asked = vi.fn((request: Request) => {
			expect(request.headers.get('content-type')).toBe('application/json');
			return Promise.resolve(new Response(null, { status: 204 }));
		});
		vi.stubGlobal('fetch', asked);
		await api.DELETE('/api/projects/{project}', { params: { path: { project: 'shop' } } });
		expect(asked).toHaveBeenCalledTimes(1);
	});

	it('says so when the server does not answer', async () => {
		vi.stubGlobal('fetch', () => Promise.reject(new TypeError('failed to fetch')));
		expect((await refusal()).problem.code).toBe('unreachable');
	});
});
