import { expect, serve, test } from './support/test';

// None of this needs containers.
test.use({ server: ({}, use) => serve(undefined, use) });

test('a secret that a plugin misses is set on the page, and its value never comes back', async ({
	page,
	server,
	chat,
}) => {
	const hook = chat.hook('hook').replace('config.sign_with = []', 'config.sign_with = ["KEY"]');
	await server.putPlugin('hook.toml', `${hook}\nsecrets.KEY = "store:hook-key"\n`);
	await page.goto(`${server.url}/plugins`);
	const secrets = page.getByRole('region', { name: 'Secrets' });
	const row = secrets.getByRole('listitem').filter({ hasText: 'hook-key' });
	await expect(row).toContainText('missing');
	await expect(page.getByRole('region', { name: 'Plugins' })).toContainText(
		'tiny-forge secret set hook-key',
	);

	await row.getByRole('button', { name: /^Set/ }).click();
	await row.getByLabel('New value of hook-key').fill('correct-horse-battery');
	await row.getByRole('button', { name: 'Set the secret' }).click();
	await expect(row).toContainText('set');
	await expect(row).not.toContainText('missing');
	await expect.poll(() => server.pluginState('hook')).toBe('running');
	await expect(row.getByRole('button', { name: /^Remove/ })).toBeDisabled();

	await secrets.getByRole('button', { name: 'Add a secret' }).click();
	await secrets.getByLabel('Name').fill('spare');
	await secrets.getByLabel('Value').fill('another-value');
	await secrets.getByRole('button', { name: 'Set the secret' }).click();
	const spare = secrets.getByRole('listitem').filter({ hasText: 'spare' });
	await spare.getByRole('button', { name: /^Remove/ }).click();
	await page.getByRole('button', { name: 'Remove the secret' }).click();
	await expect(spare).toHaveCount(0);
	expect(await page.content()).not.toContain('correct-horse-battery');
	expect(JSON.stringify(await server.get('/api/secrets'))).not.toContain('correct-horse');
});
