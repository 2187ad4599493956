import { test as base, expect } from '@playwright/test';
import { Chat } from './chat';
import { Engine } from './engine';
import { Registry } from './registry';
import { Seeded } from './seeded';
import { Server } from './server';

interface Fixtures {
	/** A server on the engine, gone after the test. */
	server: Server;
	chat: Chat;
	/** What the page may complain about in this test. */
	expected: RegExp | undefined;
}

interface Shared {
	/** One for all: an engine takes seconds to start. */
	engine: Engine;
	registry: Registry;
	/** A server that has much to show, and that no test changes. */
	seeded: Seeded;
}

/** A browser beside Docker drops requests whenever a network appears; the page asks again. */
const NETWORK_CHANGED = /net::ERR_NETWORK_(CHANGED|IO_SUSPENDED)/;

/** A server for one test. */
export async function serve(
	engine: string | undefined,
	use: (server: Server) => Promise<void>,
): Promise<void> {
	const server = await Server.start(engine);
	await use(server);
	await server.stop();
}

export const test = base.extend<Fixtures, Shared>({
	engine: [
		async ({}, use) => {
			const engine = await Engine.start();
			await use(engine);
			await engine.release();
		},
		{ scope: 'worker', timeout: 120_000 },
	],
	registry: [
		async ({}, use) => {
			const registry = await Registry.start();
			await use(registry);
			await registry.stop();
		},
		{ scope: 'worker' },
	],
	seeded: [
		async ({ engine }, use) => {
			const seeded = await Seeded.start(engine);
			await use(seeded);
			await seeded.stop();
		},
		{ scope: 'worker', timeout: 120_000 },
	],
	server: ({ engine }, use) => serve(engine.address, use),
	chat: async ({}, use) => {
		const chat = await Chat.start();
		await use(chat);
		await chat.stop();
	},
	expected: [undefined, { option: true }],
	/** A page that must not complain: no error in the console, none thrown, no breach of the CSP. */
	page: async ({ page, expected, server }, use) => {
		// Asked for, so that it ends after the page, which would miss it.
		void server;
		const complaints: string[] = [];
		page.on('pageerror', (error) => complaints.push(String(error.stack ?? error)));
		page.on('console', (message) => {
			if (message.type() === 'error')
				complaints.push(`${message.text()} (${message.location().url})`);
		});
		await use(page);
		await page.close();
		const isExpected = (text: string) => NETWORK_CHANGED.test(text) || expected?.test(text);
		const unexpected = complaints.filter((text) => !isExpected(text));
		expect(unexpected, 'what the page complained about').toEqual([]);
	},
});

export { expect };
