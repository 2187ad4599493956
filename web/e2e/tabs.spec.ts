import type { BrowserContext, Page } from '@playwright/test';
import type { Server } from './support/server';
import { expect, test } from './support/test';

/** What all of them show of a deploy, and where their readers click next. */
const ROUTES = [
	{ path: '/', next: 'Projects' },
	{ path: '/projects', next: 'Deploys' },
	{ path: '/deploys', next: 'Events' },
	{ path: '/events', next: 'Overview' },
	{ path: '/projects/left', next: 'Events' },
];

/** So many windows that are looked at; all are live. */
async function windows(count: number, context: BrowserContext, server: Server): Promise<Page[]> {
	const pages: Page[] = [];
	for (let n = 0; n < count; n++) {
		const page = await context.newPage();
		const { path } = ROUTES[n % ROUTES.length]!;
		await page.goto(server.url + path);
		await expect(page.locator('[data-connection]')).toHaveAttribute('data-connection', 'live');
		pages.push(page);
	}
	return pages;
}

/** It reaches each by itself, and soon. */
async function showIn(pages: Page[], text: RegExp): Promise<void> {
	await Promise.all(
		pages.map((page) =>
			expect(page.locator('main'), page.url()).toContainText(text, { timeout: 10_000 }),
		),
	);
}

async function failedDeploy(server: Server, project: string): Promise<void> {
	const { id } = await server.deploy(project);
	const read = () => server.get<{ status: string }>(`/api/deploys/${id}`);
	await expect.poll(async () => (await read()).status).toBe('failed');
}

async function streams(server: Server): Promise<number> {
	return (await server.get<{ items: unknown[] }>('/api/subscriptions')).items.length;
}

/** Those that ask now and then, as their pills say. */
async function without(pages: Page[]): Promise<Page[]> {
	const pills = pages.map((page) => page.locator('[data-connection]').innerText());
	const said = await Promise.all(pills);
	return pages.filter((_, n) => said[n]?.includes('every 2 s'));
}

for (const count of [5, 7]) {
	test(`${count} windows of a browser are live together, and none keeps another waiting`, async ({
		context,
		server,
	}) => {
		await server.makeProject('left', { image: 'nothing:1', pull: 'never' });
		const pages = await windows(count, context, server);
		expect(await streams(server)).toBe(4);
		expect(await without(pages)).toEqual(pages.slice(4));
		for (const page of pages) await expect(page.locator('main')).not.toContainText(/failed/);
		await failedDeploy(server, 'left');
		await showIn(pages, /failed/);
		for (const [n, page] of pages.entries()) {
			const { next } = ROUTES[n % ROUTES.length]!;
			await page.getByRole('link', { name: next }).first().click();
			await expect(page.getByRole('heading', { level: 1 })).toHaveText(next);
			await showIn([page], /left/);
		}
	});
}

test('a window that is closed or crashes hands its stream on to one without', async ({
	context,
	server,
}) => {
	await server.makeProject('left', { image: 'nothing:1', pull: 'never' });
	const [closed, crashed, ...pages] = await windows(7, context, server);
	await closed?.close();
	await expect.poll(() => without(pages)).toHaveLength(2);
	if (crashed) await crash(context, crashed);
	await expect.poll(() => without(pages)).toHaveLength(1);
	await expect.poll(() => streams(server)).toBe(4);
	await failedDeploy(server, 'left');
	await showIn(pages, /failed/);
});

/** Ends the process that draws it. */
async function crash(context: BrowserContext, page: Page): Promise<void> {
	const devtools = await context.newCDPSession(page);
	const gone = page.waitForEvent('crash');
	// It has nobody left to answer it.
	devtools.send('Page.crash').catch(() => {});
	await gone;
}
