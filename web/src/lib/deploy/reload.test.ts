import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { settle } from '$lib/live/harness';
import { deploy, logged, logLines, moved } from './example';
import { follow, ids, reply, serve, server } from './fake-server';

beforeEach(() => {
	vi.useFakeTimers();
	serve();
});
afterEach(() => {
	vi.useRealTimers();
	vi.unstubAllGlobals();
});

describe('what could not be loaded', () => {
	it('is asked for again until it comes', async () => {
		const followed = follow();
		await settle();
		server.refuses = true;
		server.tell(moved(13, { status: 'succeeded' }));
		await settle();
		expect(followed.problem).toMatchObject({ message: 'the store is busy' });
		server.refuses = false;
		server.deploy = deploy({ status: 'succeeded', image_id: 'i', as_of: { journal: 'j', id: 13 } });
		await vi.advanceTimersByTimeAsync(500);
		expect(followed.deploy.image_id).toBe('i');
		expect(followed.problem).toBeUndefined();
	});

	it('is not called reloaded after a reset until it is', async () => {
		const followed = follow();
		await settle();
		server.refuses = true;
		server.watches[0]?.onReset('foreign_journal', 3);
		await settle();
		expect(ids(followed)).toEqual([9, 10]);
		server.deploy = deploy({ as_of: { journal: 'other', id: 3 } });
		server.log = [1, 2, 3].map((id) => logged(id));
		server.refuses = false;
		await vi.advanceTimersByTimeAsync(500);
		expect(followed.feed.log.lines.map(({ text }) => text)).toEqual([
			'line 1',
			'line 2',
			'line 3',
			'gap: the server has another journal than before · reloaded',
		]);
	});

	it('leaves no hole where history is lost again while older lines are on their way', async () => {
		const followed = follow();
		const late: (() => void)[] = [];
		vi.stubGlobal('fetch', async ({ url }: Request) => {
			const said = reply(url);
			if (url.includes('before=') && late.length < 2)
				await new Promise<void>((go) => late.push(go));
			return said;
		});
		for (const head of [6, 12]) {
			server.deploy = deploy({ as_of: { journal: 'j', id: head } });
			server.log = logLines(1, head).map(({ id }) => logged(id));
			server.watches.at(-1)?.onReset('retention', head);
			await settle();
		}
		for (const answer of late) {
			answer();
			await settle();
		}
		expect(ids(followed)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12.5]);
	});
});
