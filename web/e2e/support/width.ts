import type { Page } from '@playwright/test';

/** How wide the page is; one that is wider than the screen scrolls sideways. */
export function widthOf(page: Page): Promise<number> {
	return page.evaluate(() => document.documentElement.scrollWidth);
}
