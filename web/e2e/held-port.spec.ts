import { busybox } from './support/image';
import { WEB } from './support/images';
import { freePort } from './support/port';
import { expect, test } from './support/test';

test('a port is published by the form, and held while its instance is replaced', async ({
	page,
	server,
	engine,
}) => {
	await busybox(engine, 'held:1', WEB);
	const port = await freePort();
	await page.goto(`${server.url}/projects`);
	await page.getByRole('link', { name: 'New project' }).first().click();
	await page.getByLabel('Name', { exact: true }).fill('kiosk');
	await page.getByLabel('Image', { exact: true }).fill('held:1');
	await page.getByLabel('Pull').selectOption('never');
	await page.getByLabel('Seconds that it is watched').fill('0');
	await page.getByRole('button', { name: 'Publish a port' }).click();
	await page.getByLabel('Port 1 in the container').fill('80');
	await expect(page.getByText('tiny-forge holds the ports')).toHaveCount(0);
	await page.getByLabel('Port 1 on the host').fill(String(port));
	await expect(page.getByRole('radio', { name: /tiny-forge holds the ports/ })).toBeChecked();
	await page.getByLabel('Seconds until connections are cut').fill('5');
	await page.getByRole('button', { name: 'Make the project' }).click();
	await expect(page.getByText('no downtime')).toContainText('5.0 s to end');

	const said = async () => (await fetch(`http://127.0.0.1:${port}/`)).text();
	for (const generation of [1, 2]) {
		await page.getByRole('button', { name: 'Deploy', exact: true }).click();
		await expect(page.getByRole('heading', { name: `Deploy ${generation}` })).toBeVisible();
		if (generation === 2) {
			const drained = page.getByRole('listitem').filter({ hasText: 'drain: succeeded' });
			await expect(drained).toBeVisible();
		}
		await expect(page.getByRole('status').filter({ hasText: 'succeeded' })).toBeVisible();
		expect((await said()).trim()).toBe('one');
		await page.getByRole('link', { name: 'kiosk', exact: true }).click();
	}
});
