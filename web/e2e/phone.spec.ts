import type { Deploy } from '../src/lib/api/schema';
import { expect, test } from './support/test';
import { widthOf } from './support/width';

const WIDTH = 360;
/** As long as names may be, of the widest letter. */
const LONG = 'w'.repeat(40);

// The browser says itself which requests were broken off.
test.use({ viewport: { width: WIDTH, height: 740 }, expected: /net::ERR_FAILED/ });

test('the overview fits a small phone with the longest names, and while it has no connection', async ({
	page,
	server,
	engine,
}) => {
	const spec = { image: 'nothing:1', pull: 'never' };
	await server.makeProject(LONG, spec);
	await server.updateStage(LONG, spec, LONG);
	const { id } = await server.deploy(LONG, LONG);
	const read = () => server.get<Deploy>(`/api/deploys/${id}`);
	await expect.poll(async () => (await read()).status).toBe('failed');
	await page.route('**/api/events*', (route) =>
		route.request().headers().accept === 'text/event-stream' ? route.abort() : route.continue(),
	);
	await page.goto(server.url);
	const attention = page.getByRole('region', { name: 'Needs attention' });
	await expect(attention).toContainText(`${LONG}/${LONG} failed`);
	await expect(page.getByTitle(engine.address)).toContainText('Docker');
	await expect(page.locator('[data-connection]')).toContainText(/Reconnecting in \d+ s/);
	await expect.poll(() => widthOf(page), 'no horizontal scroll').toBeLessThanOrEqual(WIDTH);
});
