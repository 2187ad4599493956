import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, test } from './support/test';
import { widthOf } from './support/width';

/** Nothing is changed here, so that all share one server. */
test.use({ server: ({ seeded }, use) => use(seeded.server) });

const PAGES = [
	{ name: 'the overview', path: '/', shows: 'Deploy 2 of shop/prod failed' },
	{ name: 'the projects', path: '/projects', shows: 'shop' },
	{ name: 'the form for a new project', path: '/projects?new', shows: 'Make the project' },
	{ name: 'a project', path: '/projects/shop', shows: 'shop-prod-1-0' },
	{ name: 'the deploys', path: '/deploys', shows: 'succeeded' },
	{ name: 'a deploy that succeeded', path: '/deploys/1', shows: 'Redeploy' },
	{ name: 'a deploy that failed', path: '/deploys/2', shows: 'Exit code 3' },
	{ name: 'the events', path: '/events', shows: 'succeeded' },
	{ name: 'the plugins', path: '/plugins', shows: 'not configured' },
	{ name: 'a plugin', path: '/plugins/chat', shows: 'delivered' },
	{ name: 'a plugin file', path: '/plugins/webhook.wasm', shows: '[plugin.webhook]' },
];

for (const { name, path, shows } of PAGES) {
	test(`${name} opens by its address, is accessible in dark and light, and fits a phone`, async ({
		page,
		server,
	}) => {
		await page.goto(server.url + path);
		await expect(page.locator('main')).toContainText(shows);
		await expect(page.locator('[data-connection]')).toHaveAttribute('data-connection', 'live');
		expect(await violations(page), 'dark').toEqual([]);
		await page.getByRole('button', { name: 'Use the light theme' }).click();
		// Another theme has other colours, and nothing else.
		expect(await violations(page, ['color-contrast']), 'light').toEqual([]);

		await page.setViewportSize({ width: 390, height: 844 });
		await expect(page.getByRole('navigation', { name: 'Main' })).toBeInViewport();
		await expect.poll(() => widthOf(page), 'no horizontal scroll').toBeLessThanOrEqual(390);
		await expect(page.locator('main')).toContainText(shows);
	});
}

async function violations(page: Page, rules?: string[]): Promise<string[]> {
	// There are no frames, for which the other mode opens a second page.
	const axe = new AxeBuilder({ page }).setLegacyMode();
	const found = await (rules ? axe.withRules(rules) : axe).analyze();
	return found.violations.flatMap(({ id, nodes }) =>
		nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')}: ${failureSummary}`),
	);
}

test.describe('what is not there', () => {
	test.use({ expected: /status of 404|Not found: \// });

	const WORDS = {
		'/nowhere': 'There is no page at /nowhere',
		'/projects/shop/nowhere': 'There is no page at /projects/shop/nowhere',
		'/deploys/none': '“none” is not the number of a deploy',
		'/deploys/999': 'deploy 999 does not exist',
	};
	for (const [path, words] of Object.entries(WORDS)) {
		test(`${path} is answered by the page's own words`, async ({ page, server }) => {
			const answer = await page.goto(server.url + path);
			expect(answer?.status(), 'the page itself is there').toBe(200);
			await expect(page.getByRole('heading', { level: 1 })).toHaveText('Nothing is here');
			await expect(page.locator('main')).toContainText(words);
			await page.getByRole('link', { name: 'Go to the overview' }).click();
			await expect(page.getByRole('heading', { level: 1 })).toHaveText('Overview');
		});
	}

	test('a project that is not there is named', async ({ page, server }) => {
		await page.goto(`${server.url}/projects/nothing`);
		await expect(page.getByRole('alert')).toContainText('nothing');
	});
});

test('an unknown path of the API is a problem in JSON, and a missing file is no page', async ({
	request,
	server,
}) => {
	const api = await request.get(`${server.url}/api/nope`, { headers: { accept: 'text/html' } });
	expect(api.status()).toBe(404);
	expect(api.headers()['content-type']).toContain('application/problem+json');
	expect(await api.json()).toMatchObject({ status: 404 });
	const file = await request.get(`${server.url}/_app/immutable/nope.js`);
	expect(file.status()).toBe(404);
	expect(await file.text()).not.toContain('<html');
});
