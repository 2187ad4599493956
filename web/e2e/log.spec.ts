import type { Page } from '@playwright/test';
import { busybox } from './support/image';
import { CONTROLLED, letPass, write } from './support/images';
import { lastLine, row, shownLines } from './support/log';
import { expect, test } from './support/test';

const LINES = 20_000;
const LONG = {
	...CONTROLLED,
	script: `trap 'exit 0' TERM
		seq ${LINES - 2} | sed 's/^/line /'
		echo 'a needle'; echo 'error: it broke'
		while :; do sleep 1 & wait $!; done`,
};

/** Where a row is on the screen; one that is not drawn any more is not waited for. */
async function placeOf(page: Page, line: number): Promise<number | undefined> {
	return (await row(page, line).boundingBox({ timeout: 1_000 }))?.y;
}

test('a log of 20,000 lines follows its end, and never moves under a reader', async ({
	page,
	server,
	engine,
	context,
}) => {
	// So many lines take their time where other programs build.
	test.slow();
	await busybox(engine, 'long:1', LONG);
	await server.makeProject('long', { image: 'long:1', pull: 'never' });
	const { id } = await server.deploy('long');
	await expect.poll(() => lastLine(server, id), { timeout: 180_000 }).toBe('error: it broke');
	await page.goto(`${server.url}/deploys/${id}`);
	const log = page.getByRole('log');
	const container = 'long-prod-1-0';

	await test.step('it follows', async () => {
		await expect(log).toContainText('error: it broke');
		await write(engine, container, 'echo one more');
		await expect(log).toContainText('one more');
		expect((await shownLines(page)).length, 'only what is seen is drawn').toBeLessThan(200);
	});

	await test.step('a scroll up pauses, and new lines only count', async () => {
		await log.hover();
		// Older lines that arrive at this moment can stop the view, as they would for a person.
		await expect(async () => {
			await page.mouse.wheel(0, -4_000);
			await expect(log).not.toContainText('one more', { timeout: 1_000 });
		}).toPass();
		await expect(page.getByRole('button', { name: 'Follow' })).toBeVisible();
		// Rows are drawn when the view has come to rest: one that is on the screen twice
		// in the same place stays there.
		let read = 0;
		let place: number | undefined;
		await expect(async () => {
			read = (await shownLines(page))[20]?.id ?? 0;
			place = await placeOf(page, read);
			expect(place).toBeDefined();
			expect(await placeOf(page, read)).toBe(place);
		}).toPass();
		await write(engine, container, 'for n in $(seq 42); do echo "later $n"; done');
		await expect(page.getByRole('button', { name: '42 new lines' })).toBeVisible();
		expect(await placeOf(page, read)).toBe(place);
		await page.getByRole('button', { name: '42 new lines' }).click();
		await expect(log).toContainText('later 42');
		await write(engine, container, 'echo followed again');
		await expect(log).toContainText('followed again');
	});

	await test.step('a search finds lines that are far away', async () => {
		const search = page.getByRole('searchbox', { name: 'Search the log' });
		await search.fill('line 777');
		await expect(page.getByRole('search')).toContainText('11 matches');
		await search.fill('line 7771');
		await search.press('Enter');
		await expect(page.getByRole('search')).toContainText('1 of 1');
		await expect(log.locator('.row.current')).toHaveText(/line 7771$/);
		await search.press('Escape');
	});

	await test.step('errors are counted and jumped to', async () => {
		await page.getByRole('button', { name: '1 error' }).click();
		await expect(log.locator('.row.current')).toHaveText(/error: it broke$/);
	});

	await test.step('a link to a line shows it to somebody else', async () => {
		const [linked] = (await shownLines(page)).filter(({ text }) => text === 'a needle');
		if (!linked) throw new Error('the line is not on the screen');
		await row(page, linked.id).locator('.number').click();
		await expect(page).toHaveURL(new RegExp(`[?&]line=${linked.id}$`));
		const other = await context.newPage();
		await other.goto(page.url());
		await expect(row(other, linked.id)).toBeInViewport();
		await expect(row(other, linked.id)).toHaveClass(/selected/);
		await other.close();
	});

	await letPass(engine, container);
	await expect(page.getByRole('status').filter({ hasText: 'succeeded' })).toBeVisible();
	const whole = await (await fetch(`${server.url}/api/deploys/${id}/logs.txt`)).text();
	expect(whole.split('\n').filter((line) => /line \d+$/.test(line))).toHaveLength(LINES - 2);
});
