import { busybox } from './support/image';
import { WEB } from './support/images';
import { expect, serve, test } from './support/test';

const NO_ENGINE = 'No Docker engine answers at';

test('an engine that stops and comes back is told without a reload, and states are right', async ({
	page,
	server,
	engine,
}) => {
	await busybox(engine, 'steady:1', WEB);
	await server.makeProject('steady', { image: 'steady:1', pull: 'never', restart: 'always' });
	await server.deploy('steady');
	await page.goto(`${server.url}/projects/steady`);
	const instance = page.getByTestId('instances').getByRole('listitem');
	await expect(instance).toContainText('healthy');
	await expect(instance).not.toContainText('last known');
	await expect(page.getByRole('heading', { level: 2, name: 'Under way' })).toHaveCount(0);

	await engine.stop();
	const banner = page.getByRole('alert').filter({ hasText: NO_ENGINE });
	await expect(banner).toContainText(engine.address);
	await expect(instance).toContainText('last known');
	await expect(page.getByText('No Docker', { exact: true })).toBeVisible();

	await engine.startAgain();
	await expect(banner).toHaveCount(0);
	await expect(instance).not.toContainText('last known');
	await expect(instance).toContainText('healthy');
});

test.describe('before there is an engine', () => {
	test.use({
		server: async ({ engine }, use) => {
			await engine.stop();
			await serve(engine.address, use);
		},
	});

	test('the page says so, and connects when one appears', async ({ page, server, engine }) => {
		await page.goto(server.url);
		const banner = page.getByRole('alert').filter({ hasText: NO_ENGINE });
		await expect(banner).toContainText(engine.address);
		await engine.startAgain();
		await expect(banner).toHaveCount(0);
		await expect(page.getByTitle(engine.address)).toContainText(/Docker \d/);
	});
});
