import { WEB, webOf } from './support/images';
import { expect, test } from './support/test';

const SICK = {
	...WEB,
	script: `echo two > /www/index.html; ${WEB.script.replace('echo one', 'echo two')}`,
	health: 'echo the database is not there; exit 1',
	retries: 2,
};
const ENDS = { script: 'echo about to fail; echo no configuration >&2; exit 3' };

test('a deploy that fails says why, and the old instance still serves', async ({
	page,
	server,
	engine,
	registry,
}) => {
	const [good, sick, ends] = [
		await registry.push(engine, 'site:good', WEB),
		await registry.push(engine, 'site:sick', SICK),
		await registry.push(engine, 'site:ends', ENDS),
	];
	await server.makeProject('site', { image: good });
	await page.goto(`${server.url}/projects/site`);
	const status = page.getByRole('status');
	const failure = page.getByRole('region', { name: /^Failed at/ });

	const deploy = async (image: string) => {
		await page.getByLabel('Another image').fill(image);
		await page.getByRole('button', { name: 'Deploy', exact: true }).click();
		await expect(page.getByRole('heading', { level: 1, name: /^Deploy \d/ })).toBeVisible();
	};
	const toProject = () => page.getByRole('link', { name: 'site', exact: true }).click();
	const serves = page
		.getByTestId('instances')
		.getByRole('listitem')
		.filter({ hasText: 'site-prod-1-0' });

	await deploy(good);
	await expect(status.filter({ hasText: 'succeeded' })).toBeVisible();
	await toProject();
	await expect(serves).toContainText('healthy');

	await deploy(sick);
	await expect(failure).toContainText('Failed at gate');
	await expect(failure).toContainText('unhealthy');
	await expect(failure.getByLabel('Output of the health check')).toContainText(
		'the database is not there',
	);
	await expect(failure.getByLabel('Last lines of its output')).toContainText('up');
	await expect(page.getByRole('listitem').filter({ hasText: 'gate: failed' })).toBeVisible();
	expect(await webOf(engine, 'site-prod-1-0')).toBe('one');

	await toProject();
	await expect(serves).toContainText('healthy');
	await deploy(ends);
	await expect(failure).toContainText('Exit code 3');
	await expect(failure.getByLabel('Last lines of its output')).toContainText('no configuration');
	await expect(page.getByRole('log')).toContainText('about to fail');
	expect(await webOf(engine, 'site-prod-1-0')).toBe('one');

	// Who opens the overview is told what to look at.
	await page.getByRole('link', { name: 'Overview' }).click();
	await expect(page.getByRole('region', { name: 'Needs attention' })).toContainText(
		'Deploy 3 of site/prod failed',
	);
	await expect(page.getByRole('row', { name: /site/ })).toContainText('healthy');
});
