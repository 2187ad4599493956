import { expect } from '@playwright/test';
import type { Deploy } from '../../src/lib/api/schema';
import { Chat, INVALID_TOKEN, OK } from './chat';
import type { Engine } from './engine';
import { busybox } from './image';
import { WEB } from './images';
import { Server } from './server';

/** A server on which something of everything has happened. */
export class Seeded {
	private constructor(
		readonly server: Server,
		private readonly chat: Chat,
	) {}

	static async start(engine: Engine): Promise<Seeded> {
		const [server, chat] = [await Server.start(engine.address), await Chat.start()];
		await addPlugins(server, chat);
		await busybox(engine, 'seeded:1', WEB);
		const good = { image: 'seeded:1', pull: 'never', env: [{ name: 'WORD', value: 'one' }] };
		await server.makeProject('shop', good);
		await ended(server, await server.deploy('shop'), 'succeeded');
		chat.always = OK;
		const bad = { ...good, command: ['sh', '-c', 'echo error: no configuration; exit 3'] };
		await server.updateStage('shop', bad);
		await ended(server, await server.deploy('shop'), 'failed');
		await expect.poll(() => chat.taken.length).toBeGreaterThan(0);
		return new Seeded(server, chat);
	}

	async stop(): Promise<void> {
		await this.server.stop();
		await this.chat.stop();
	}
}

/** The first messages are refused: they become dead letters. */
async function addPlugins(server: Server, chat: Chat): Promise<void> {
	chat.always = INVALID_TOKEN;
	await server.writeSecret('slack-path', 'T0/B0/very-secret-path');
	await server.putSecret('kept', 'very-secret-value');
	await server.copyPlugin('plugins/dist/webhook.wasm', 'webhook.wasm');
	const pipeline = `
[pipeline.everything]
when = { type = ["project_status", "deploy_status", "instance_status"] }
sinks = ["chat"]
`;
	await server.putPlugin('chat.toml', chat.plugin('chat', server.path('slack-path')) + pipeline);
	await expect.poll(() => server.pluginState('chat'), { timeout: 20_000 }).toBe('running');
	await expect.poll(() => server.pluginState('webhook.wasm')).toBe('not_configured');
}

/** Waits for its end; one that ends otherwise is shown whole. */
async function ended(server: Server, { id }: Deploy, status: string): Promise<void> {
	const read = () => server.get<Deploy>(`/api/deploys/${id}`);
	await expect.poll(async () => (await read()).ended_at, { timeout: 60_000 }).toBeTruthy();
	const deploy = await read();
	expect(deploy.status, JSON.stringify(deploy.steps)).toBe(status);
}
