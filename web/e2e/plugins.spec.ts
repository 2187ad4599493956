import { INVALID_TOKEN } from './support/chat';
import { expect, serve, test } from './support/test';

// None of this needs containers.
test.use({ server: ({}, use) => serve(undefined, use) });

const pipeline = (...sinks: string[]) => `
[pipeline.projects]
when = { type = ["project_status"] }
sinks = ${JSON.stringify(sinks)}
`;

test('a dead letter is replayed from the page, and a test shows what the target really said', async ({
	page,
	server,
	chat,
}) => {
	await server.writeSecret('slack-path', 'T0/B0/very-secret-path');
	await server.putPlugin(
		'chat.toml',
		chat.plugin('chat', server.path('slack-path')) + pipeline('chat'),
	);
	await expect.poll(() => server.pluginState('chat')).toBe('running');
	await page.goto(`${server.url}/plugins/chat`);
	const deliveries = page.getByRole('region', { name: 'Deliveries' });
	await expect(page.getByRole('status').filter({ hasText: 'running' })).toBeVisible();

	chat.always = INVALID_TOKEN;
	await server.makeProject('first', { image: 'first:1' });
	const first = deliveries.getByRole('listitem').first();
	await expect(first).toContainText('dead');
	await expect(first).toContainText('invalid_token');

	const send = page.getByRole('button', { name: 'Send test' });
	const result = page.getByRole('region', { name: 'Test' });
	await send.click();
	await expect(result).toContainText('The target refused it');
	await expect(result).toContainText('invalid_token');
	await expect(result).toContainText(`403 ${chat.origin}/services/{secret:SLACK_PATH}`);

	chat.always = { status: 200, body: 'ok' };
	await send.click();
	await expect(result).toContainText('The target took it');
	await expect.poll(() => chat.taken.join().toLowerCase()).toContain('test');

	await first.getByRole('button', { name: 'Replay' }).click();
	await expect(first).toContainText('delivered');
	await expect(first).toContainText('2 attempts');
	await first.getByText('Attempts', { exact: true }).click();
	await expect(first.getByRole('listitem').filter({ hasText: 'invalid_token' })).toBeVisible();
	expect(chat.taken.join()).toContain('first');
	await expect(page.locator('main')).not.toContainText('very-secret-path');
});

test('a plugin file that is dropped in is listed with the configuration it needs, and runs with it', async ({
	page,
	server,
	chat,
}) => {
	await page.goto(`${server.url}/plugins`);
	await expect(page.getByText('No plugins yet')).toBeVisible();
	await server.copyPlugin('plugins/dist/webhook.wasm', 'webhook.wasm');
	const plugins = page.getByRole('region', { name: 'Plugins' });
	await expect(plugins.getByRole('listitem')).toContainText('not configured');
	await plugins.getByRole('link', { name: 'Configure it' }).click();
	const suggested = page.getByRole('region', { name: 'Suggested configuration' });
	await expect(suggested).toContainText('[plugin.webhook]');
	await expect(suggested).toContainText('file = "webhook.wasm"');

	const toml = chat.hook('webhook', 'webhook.wasm') + pipeline('webhook');
	await server.putPlugin('hook.toml', toml);
	await expect(page.getByRole('heading', { level: 1 })).toHaveText('webhook');
	await expect(page.getByRole('status').filter({ hasText: 'running' })).toBeVisible();
	await server.makeProject('first', { image: 'first:1' });
	const deliveries = page.getByRole('region', { name: 'Deliveries' });
	await expect(deliveries.getByRole('listitem').first()).toContainText('delivered');
	expect(JSON.parse(chat.posted[0]?.body ?? '')).toMatchObject({
		data: { events: [{ type: 'project_status', payload: { project: 'first' } }] },
	});

	// A wrong change is shown, and what runs goes on.
	await server.putPlugin('hook.toml', toml.replace('config.url', 'config.adress'));
	await expect(page.getByRole('alert').filter({ hasText: 'adress' })).toBeVisible();
	await server.makeProject('second', { image: 'second:1' });
	await expect.poll(() => chat.taken.length).toBe(2);
});

test('a target that never answers delays neither its neighbour nor any page', async ({
	page,
	server,
	chat,
}) => {
	chat.silentAt = '/silent';
	const sinks = `${chat.hook('silent')}\n${chat.hook('quick')}`;
	await server.putPlugin('hooks.toml', sinks + pipeline('silent', 'quick'));
	await expect.poll(() => server.pluginState('silent')).toBe('running');
	await expect.poll(() => server.pluginState('quick')).toBe('running');
	await page.goto(`${server.url}/plugins`);
	for (const name of ['first', 'second', 'third']) await server.makeProject(name, { image: 'a:1' });

	const deliveries = page.getByRole('region', { name: 'Latest deliveries' }).getByRole('listitem');
	const of = (sink: string, state: string) =>
		deliveries.filter({ hasText: `→ ${sink}` }).filter({ hasText: state });
	await expect(of('quick', 'delivered')).toHaveCount(3);
	expect(chat.taken).toHaveLength(3);
	await expect(of('silent', 'delivered')).toHaveCount(0);
	await page.getByRole('link', { name: 'Projects' }).click();
	await expect(page.getByRole('row', { name: /third/ })).toBeVisible();
});

test.describe('too early', () => {
	// The browser itself says so.
	test.use({ expected: /status of 404/ });

	test('the page of a plugin that comes later shows it as soon as it is there', async ({
		page,
		server,
		chat,
	}) => {
		await page.goto(`${server.url}/plugins/hook`);
		const missing = page.getByText('The plugin could not be loaded');
		await expect(missing).toBeVisible();
		await server.putPlugin('hook.toml', chat.hook('hook'));
		await expect(page.getByRole('status').filter({ hasText: 'running' })).toBeVisible();
		await expect(missing).toBeHidden();
	});
});
