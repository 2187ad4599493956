import { rateLimited } from './support/chat';
import { CONTROLLED, letPass, webOf } from './support/images';
import { expect, test } from './support/test';

test('a deploy is clicked together and watched until its instance is healthy, and chat hears of it', async ({
	page,
	server,
	engine,
	registry,
	chat,
}) => {
	const image = await registry.push(engine, 'boutique:1', CONTROLLED);
	await page.goto(server.url);
	await page.evaluate(() => Object.assign(window, { sameDocument: true }));
	await expect(page.getByTitle(engine.address)).toContainText('Docker');

	await page.getByRole('link', { name: 'New project' }).first().click();
	await page.getByLabel('Name', { exact: true }).fill('boutique');
	await page.getByLabel('Image', { exact: true }).fill(image);
	await page.getByLabel('Seconds that it is watched').fill('1');
	await page.getByRole('button', { name: 'Make the project' }).click();
	await page.getByRole('button', { name: 'Deploy', exact: true }).click();
	await expect(page.getByRole('heading', { name: 'Deploy 1' })).toBeVisible();

	const step = (name: string) => page.getByRole('listitem').filter({ hasText: name });
	await expect(step('pull: succeeded')).toBeVisible();
	await expect(step('gate: running')).toBeVisible();
	const log = page.getByRole('log');
	await expect(log).toContainText('hello 3');
	await expect(page.getByText('succeeded', { exact: true })).toHaveCount(0);

	// All this happens while the deploy runs.
	await server.writeSecret('slack-path', 'T0/B0/very-secret-path');
	await server.putPlugin(
		'chat.toml',
		`${chat.plugin('chat', server.path('slack-path'))}
[pipeline.deploys]
when = { type = ["deploy_status"], project = ["boutique"] }
sinks = ["chat"]
`,
	);
	await expect.poll(() => server.pluginState('chat')).toBe('running');
	chat.next.push(rateLimited(1));

	await letPass(engine, 'boutique-prod-1-0');
	await expect(page.getByRole('status').filter({ hasText: 'succeeded' })).toBeVisible();
	await expect(step('retire: ')).toBeVisible();
	await page.getByRole('link', { name: 'boutique', exact: true }).click();
	await expect(page.getByTestId('instances')).toContainText('healthy');
	expect(await webOf(engine, 'boutique-prod-1-0')).toBe('one');

	await expect.poll(() => chat.taken.join()).toContain('deploy 1 succeeded');
	expect(chat.posted.map(({ path }) => path)).toContain('/services/T0/B0/very-secret-path');
	expect(chat.posted[0]?.answer.status).toBe(429);

	await page.getByRole('link', { name: 'Plugins' }).click();
	await page.getByRole('link', { name: 'chat', exact: true }).first().click();
	const deliveries = page.getByRole('region', { name: 'Deliveries' });
	await expect(deliveries.getByRole('listitem').first()).toContainText('delivered');
	await expect(deliveries).toContainText('2 attempts');
	await expect(page.locator('main')).not.toContainText('very-secret-path');
	expect(await page.evaluate(() => 'sameDocument' in window), 'never reloaded').toBe(true);
});
