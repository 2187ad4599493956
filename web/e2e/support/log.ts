import type { Locator, Page } from '@playwright/test';
import type { Server } from './server';

export interface ShownLine {
	id: number;
	text: string;
}

/** The rows of the log that are drawn now, in the order of the page. */
export function shownLines(page: Page): Promise<ShownLine[]> {
	return page.getByRole('log').evaluate((log) =>
		[...log.querySelectorAll<HTMLElement>('[data-line]')]
			.map((number) => ({
				id: Number(number.dataset.line),
				text: number.parentElement?.querySelector('.text')?.textContent ?? '',
				top: number.getBoundingClientRect().top,
			}))
			.sort((a, b) => a.top - b.top)
			.map(({ id, text }) => ({ id, text })),
	);
}

/** All lines of a deploy's log, as the server keeps them. */
export async function keptLines(server: Server, deploy: number): Promise<ShownLine[]> {
	const path = `/api/deploys/${deploy}/logs?limit=500`;
	const { items } = await server.get<{ items: { id: number; line: string }[] }>(path);
	return items.map(({ id, line }) => ({ id, text: line }));
}

/** The newest line of a deploy's log. */
export async function lastLine(server: Server, deploy: number): Promise<string | undefined> {
	const path = `/api/events?type=deploy_log&deploy=${deploy}&order=desc&limit=1`;
	const { items } = await server.get<{ items: { payload: { line: string } }[] }>(path);
	return items[0]?.payload.line;
}

/** The row of one line. */
export function row(page: Page, line: number): Locator {
	return page
		.getByRole('log')
		.locator('.row')
		.filter({ has: page.locator(`[data-line="${line}"]`) });
}
