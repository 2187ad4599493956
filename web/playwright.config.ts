import { defineConfig } from '@playwright/test';

/** Debian's browser; a download of Playwright's own is never needed. */
const CHROMIUM = '/usr/bin/chromium';

export default defineConfig({
	testDir: 'e2e',
	outputDir: 'test-results',
	// One real engine, one real browser, two cores.
	workers: 1,
	// A test that passes at the second try has found something.
	retries: 0,
	forbidOnly: Boolean(process.env.CI),
	timeout: 90_000,
	expect: { timeout: 20_000 },
	reporter: 'list',
	use: {
		// What is never there is named, instead of the test that ran out of time.
		actionTimeout: 30_000,
		viewport: { width: 1280, height: 900 },
		locale: 'en-GB',
		timezoneId: 'UTC',
		screenshot: 'only-on-failure',
		launchOptions: {
			executablePath: CHROMIUM,
			args: [
				'--no-sandbox',
				'--disable-gpu',
				'--disable-quic',
				'--no-first-run',
				'--disable-background-networking',
				'--disable-component-update',
				'--disable-sync',
			],
		},
	},
});
