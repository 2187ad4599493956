import { waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { deploy, logged, moved } from './example';
import { follow, ids, reply, serve, server } from './fake-server';

beforeEach(serve);
afterEach(() => vi.unstubAllGlobals());

describe('a followed deploy', () => {
	it('asks for what happened since the older of the two answers it began with', () => {
		follow();
		expect(server.watches[0]).toMatchObject({ after: 10, logs: 7 });
	});

	it('goes from queued to its end without asking the reader to reload', async () => {
		const followed = follow();
		server.tell(moved(13, { step: 'plan', step_status: 'running' }), logged(14));
		expect(followed.deploy.status).toBe('planning');
		expect(ids(followed)).toEqual([9, 10, 14]);
		server.deploy = deploy({ status: 'succeeded', image_id: 'i', as_of: { journal: 'j', id: 15 } });
		server.tell(moved(15, { status: 'succeeded' }));
		expect(followed.ended).toBe(true);
		await waitFor(() => expect(followed.deploy.image_id).toBe('i'));
	});

	it('keeps what it was told while an older snapshot was on its way', async () => {
		const followed = follow();
		server.deploy = deploy({ digest: 'sha256:1', as_of: { journal: 'j', id: 13 } });
		server.tell(moved(13, { step: 'pull', step_status: 'succeeded' }));
		server.tell(moved(14, { status: 'gating', step: 'gate', step_status: 'running' }));
		await waitFor(() => expect(followed.deploy.digest).toBe('sha256:1'));
		expect(followed.deploy.status).toBe('gating');
	});

	it('does not go back when an older answer comes last', async () => {
		const followed = follow();
		const answers: (() => void)[] = [];
		vi.stubGlobal('fetch', async ({ url }: Request) => {
			const said = reply(url);
			if (url.endsWith('/deploys/7')) await new Promise<void>((go) => answers.push(go));
			return said;
		});
		server.deploy = deploy({ status: 'gating', as_of: { journal: 'j', id: 13 } });
		server.tell(moved(13, { step: 'pull', step_status: 'succeeded' }));
		await waitFor(() => expect(answers).toHaveLength(1));
		server.deploy = deploy({
			status: 'failed',
			digest: 'sha256:2',
			as_of: { journal: 'j', id: 15 },
		});
		server.tell(moved(15, { status: 'failed' }));
		await waitFor(() => expect(answers).toHaveLength(2));
		answers[1]?.();
		await waitFor(() => expect(followed.deploy.digest).toBe('sha256:2'));
		answers[0]?.();
		await new Promise((done) => setTimeout(done));
		expect(followed.deploy.status).toBe('failed');
	});

	it('tells lines apart that were written while the stream was away', () => {
		const followed = follow();
		followed.feed.resumed(19);
		server.tell(logged(18), logged(19), logged(21));
		expect(followed.feed.log.lines.map(({ text }) => text).slice(2)).toEqual([
			'resumed, 2 lines recovered',
			'line 18',
			'line 19',
			'line 21',
		]);
	});

	it('says nothing of a short loss in which nothing was written', () => {
		const followed = follow();
		followed.feed.resumed(20);
		server.tell(logged(25));
		expect(ids(followed)).toEqual([9, 10, 25]);
	});

	it('loads everything again after a reset, shows the gap, and watches from there', async () => {
		const followed = follow();
		server.deploy = deploy({ status: 'gating', as_of: { journal: 'other', id: 5 } });
		server.log = [1, 2, 3, 4, 5].map((id) => logged(id));
		server.watches[0]?.onReset('foreign_journal', 5);
		await waitFor(() => expect(followed.feed.log.lines).toHaveLength(6));
		expect(followed.feed.log.lines.at(-1)?.text).toBe(
			'gap: the server has another journal than before · reloaded',
		);
		expect(ids(followed).slice(0, 5)).toEqual([1, 2, 3, 4, 5]);
		expect(server.watches.at(-1)?.after).toBe(5);
		expect(followed.deploy.status).toBe('gating');
	});

	it('keeps what it has when the server fails, and says why', async () => {
		const followed = follow();
		vi.stubGlobal('fetch', async () => {
			throw new TypeError('refused');
		});
		await followed.refresh();
		expect(followed.problem).toBeInstanceOf(Error);
		expect(ids(followed)).toEqual([9, 10]);
	});
});
