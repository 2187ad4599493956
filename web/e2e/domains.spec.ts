import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { text } from 'node:stream/consumers';
import { busybox } from './support/image';
import { WEB } from './support/images';
import { expect, test } from './support/test';

// The browser says itself that the first name was refused.
test.use({ expected: /status of 422/ });

test('a domain is given by the form, and leads to the instance over HTTPS', async ({
	page,
	server,
	engine,
}) => {
	await busybox(engine, 'bakery:1', WEB);
	await page.goto(`${server.url}/projects`);
	await page.getByRole('link', { name: 'New project' }).first().click();
	await page.getByLabel('Name', { exact: true }).fill('bakery');
	await page.getByLabel('Image', { exact: true }).fill('bakery:1');
	await page.getByLabel('Pull').selectOption('never');
	await page.getByLabel('Seconds that it is watched').fill('0');
	await page.getByRole('button', { name: 'Add a domain' }).click();
	const domain = page.getByLabel('Name of domain 1');
	await domain.fill('https://shop.example');
	await page.getByLabel('Port of domain 1 in the container').fill('80');
	const make = page.getByRole('button', { name: 'Make the project' });
	await make.click();
	const refused = 'expected a name alone, without https://, port or path';
	await expect(domain).toHaveAccessibleDescription(refused);
	await domain.fill('bakery.example');
	await make.click();
	const config = page.getByRole('region', { name: 'Configuration' });
	await expect(config).toContainText('bakery.example → 80');
	const held = page.getByTestId('held');
	await expect(held).toHaveCount(0);

	await page.getByRole('button', { name: 'Deploy', exact: true }).click();
	await expect(page.getByRole('heading', { name: 'Deploy 1' })).toBeVisible();
	await expect(page.getByRole('status').filter({ hasText: 'succeeded' })).toBeVisible();
	expect(await saidUnder('bakery.example', server.domainPorts.https)).toBe('one');
	await page.getByRole('link', { name: 'bakery', exact: true }).click();
	await expect(page.getByTestId('instances')).toContainText('healthy');
	const link = held.getByRole('link', { name: 'https://bakery.example' });
	await expect(link).toHaveAttribute('href', 'https://bakery.example');

	// What is saved leads nowhere before it is deployed.
	await page.getByRole('button', { name: 'Edit', exact: true }).click();
	await domain.fill('pastry.example');
	await page.getByRole('button', { name: 'Save', exact: true }).click();
	await expect(config).toContainText('pastry.example → 80');
	await expect(held).toHaveText('https://bakery.example → 80 held by tiny-forge');
});

/** What is answered over TLS to whom a name leads to this host, whoever signed for it. */
async function saidUnder(name: string, port: number): Promise<string> {
	const here = { host: '127.0.0.1', port, servername: name, headers: { host: name } };
	const asked = get({ ...here, agent: false, rejectUnauthorized: false });
	const [answer] = (await once(asked, 'response')) as [IncomingMessage];
	return (await text(answer)).trim();
}
