import { Cable } from './support/cable';
import { busybox } from './support/image';
import { letPass, SLOW } from './support/images';
import { keptLines, shownLines } from './support/log';
import { expect, test as base } from './support/test';

interface Fixtures {
	/** Between the page and its server. */
	cable: Cable;
}

const test = base.extend<Fixtures>({
	cable: async ({ server }, use) => {
		const cable = await Cable.to(server.url);
		await use(cable);
		await cable.remove();
	},
});

// The browser says itself that its requests broke off.
const BROKE_OFF = /net::ERR_(INCOMPLETE_CHUNKED_ENCODING|CONNECTION_\w+|EMPTY_RESPONSE|SOCKET_\w+)/;
test.use({ expected: BROKE_OFF });

test('a server that is killed in mid-stream is found again, and the log goes on without a gap', async ({
	page,
	server,
	engine,
	cable,
}) => {
	// Three servers start, which takes its time where other programs build.
	test.slow();
	// So tall that every line is drawn.
	await page.setViewportSize({ width: 1280, height: 8_000 });
	await busybox(engine, 'crash:1', SLOW);
	await server.makeProject('crash', { image: 'crash:1', pull: 'never' });
	const { id } = await server.deploy('crash');
	await page.goto(`${cable.url}/deploys/${id}`);
	await page.evaluate(() => Object.assign(window, { sameDocument: true }));
	const connection = page.locator('[data-connection]');
	const isLive = () => expect(connection).toHaveAttribute('data-connection', 'live');
	const log = page.getByRole('log');
	await isLive();
	await expect(log).toContainText('hello 5');

	// What is written now, the page is not told, and then nobody can be asked.
	cable.cut();
	await expect(connection).toContainText('Reconnecting');
	const before = await shownLines(page);
	const written = async () => (await keptLines(server, id)).length;
	await expect.poll(written).toBeGreaterThan(before.length + 5);
	await server.kill();
	await server.startAgain();
	cable.mend();
	await isLive();
	await expect(log).toContainText(/resumed, \d+ lines recovered/);
	await expect(log).toContainText('was in step `gate`, and goes on there');
	const succeeded = page.getByRole('status').filter({ hasText: 'succeeded' });
	await letPass(engine, 'crash-prod-1-0');
	await expect(succeeded).toBeVisible();

	const kept = await keptLines(server, id);
	expect(kept.slice(0, before.length)).toEqual(before);
	expect(await shownLines(page)).toEqual(kept);

	// A deploy that streams while its server dies.
	await page.getByRole('button', { name: 'Redeploy' }).click();
	await expect(page.getByRole('heading', { name: `Deploy ${id + 1}` })).toBeVisible();
	await expect(log).toContainText('hello 5');
	await server.kill();
	await expect(connection).toContainText('Reconnecting');
	await server.startAgain();
	await isLive();
	await letPass(engine, 'crash-prod-2-0');
	await expect(succeeded).toBeVisible();
	expect(await shownLines(page)).toEqual(await keptLines(server, id + 1));
	expect(await page.evaluate(() => 'sameDocument' in window), 'never reloaded').toBe(true);
});
