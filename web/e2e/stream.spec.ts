import type { Page } from '@playwright/test';
import { busybox } from './support/image';
import { letPass, SLOW } from './support/images';
import { keptLines, lastLine, shownLines } from './support/log';
import type { Server } from './support/server';
import { expect, test } from './support/test';

interface OpenStream {
	id: string;
	filter: { logs?: number[] };
}

/** The streams that the page has asked for. */
function streamsOf(page: Page): string[] {
	const asked: string[] = [];
	page.on('request', (request) => {
		if (request.headers().accept === 'text/event-stream') asked.push(request.url());
	});
	return asked;
}

async function openStreams(server: Server): Promise<OpenStream[]> {
	return (await server.get<{ items: OpenStream[] }>('/api/subscriptions')).items;
}

/** Lets a wish for a log reach the server only when lines were written that no stream has brought. */
async function delayWishes(page: Page, server: Server): Promise<void> {
	await page.route('**/api/subscriptions/*', async (route) => {
		const { logs } = route.request().postDataJSON() as { logs: number[] };
		for (const deploy of logs) {
			const before = await lastLine(server, deploy);
			await expect.poll(() => lastLine(server, deploy)).not.toBe(before);
		}
		await route.continue();
	});
}

test('one stream serves a tab on its way from the overview through two logs that are being written', async ({
	page,
	server,
	engine,
}) => {
	await page.setViewportSize({ width: 1280, height: 8_000 });
	await busybox(engine, 'slow:1', SLOW);
	for (const [name, deploy] of [
		['left', 1],
		['right', 2],
	] as const) {
		await server.makeProject(name, { image: 'slow:1', pull: 'never' });
		await server.deploy(name);
		await expect.poll(() => lastLine(server, deploy)).toMatch(/^hello/);
	}
	const asked = streamsOf(page);
	await delayWishes(page, server);
	await page.goto(server.url);
	await expect(page.locator('[data-connection]')).toHaveAttribute('data-connection', 'live');
	const [stream] = await openStreams(server);
	/** The log lines that the server sends, on the stream that it always was. */
	const logs = async () => {
		const open = await openStreams(server);
		expect(open.map(({ id }) => id)).toEqual([stream?.id]);
		return open[0]?.filter.logs ?? [];
	};
	expect(await logs()).toEqual([]);

	const log = page.getByRole('log');
	const overview = page.getByRole('link', { name: 'Overview' }).first();
	for (const deploy of [1, 2, 1, 2]) {
		await page.locator(`main a[href="/deploys/${deploy}"]`).first().click();
		await expect(page.getByRole('heading', { name: `Deploy ${deploy}` })).toBeVisible();
		await expect.poll(logs).toEqual([deploy]);
		const now = (await keptLines(server, deploy)).length;
		await expect(log, 'it goes on by itself').toContainText(`hello ${now + 3}`);
		const kept = await keptLines(server, deploy);
		const shown = await shownLines(page);
		expect(shown.slice(0, kept.length)).toEqual(kept.slice(0, shown.length));
		await overview.click();
		await expect.poll(logs, 'nobody looks at it any more').toEqual([]);
	}

	await page.locator('main a[href="/deploys/2"]').first().click();
	await expect(log).toContainText('hello');
	await letPass(engine, 'right-prod-1-0');
	await expect(page.getByRole('status').filter({ hasText: 'succeeded' })).toBeVisible();
	expect(await shownLines(page)).toEqual(await keptLines(server, 2));
	expect(asked, 'streams of this tab').toHaveLength(1);
});
