import { describe, expect, it } from 'vitest';
import { ApiError } from '$lib/api/client';
import type { FieldProblem, Spec } from '$lib/api/schema';
import { SpecForm } from './spec-form.svelte';

const stored: Spec = {
	image: 'shop:1.4',
	command: ['serve'],
	env: [
		{ name: 'MODE', value: 'prod' },
		{ name: 'API_KEY', secret: true },
	],
	ports: [{ host: 8080, container: 80, protocol: 'udp', host_ip: '127.0.0.1' }],
	domains: [],
	health: { http: { port: 80, path: '/up' }, docker: { test: ['CMD', 'true'] }, timeout_ms: 5_000 },
	pull: 'missing',
	stop_grace_ms: 3_000,
	bake_ms: 5_000,
	routing: 'stop-first',
	drain_ms: 2_500,
	registry_auth: { username: 'me' },
};

const refusal = (...errors: FieldProblem[]) => {
	const detail = errors.map(({ field, message }) => `${field}: ${message}`).join('; ');
	const title = 'Unprocessable Entity';
	const problem = { type: 'about:blank', title, status: 422, detail, code: 'invalid', errors };
	return new ApiError('PUT', '/api/projects/shop/stages/prod', problem);
};

describe('the form of a specification', () => {
	it('gives back what it was given, also what it has no fields for', () => {
		expect(new SpecForm(stored).spec()).toEqual(stored);
	});

	it('holds published ports and drains for half a minute unless told otherwise', () => {
		const form = new SpecForm({ image: 'a' });
		expect(form.routed).toBe(false);
		form.addPort();
		Object.assign(form.ports[0] ?? {}, { container: '80', host: '8080' });
		expect(form.routed).toBe(true);
		expect(form.spec()).toMatchObject({ routing: 'port-hold', drain_ms: 30_000 });
		form.drain = 'long';
		expect(form.spec()).toBeUndefined();
		expect(Object.keys(form.errors)).toEqual(['/spec/drain_ms']);
		form.routing = 'stop-first';
		expect(form.spec(), 'its field is not seen').toMatchObject({ routing: 'stop-first' });
	});

	it('sends who holds the ports, and the seconds as they were typed', () => {
		const form = new SpecForm({ ...stored, routing: 'port-hold' });
		expect(form.drain).toBe('2.5');
		form.drain = '0.25';
		expect(form.spec()).toEqual({ ...stored, routing: 'port-hold', drain_ms: 250 });
	});

	it('keeps its domains, which are held as ports are', () => {
		const domains = [{ name: 'shop.example', port: 3000 }];
		const form = new SpecForm({ image: 'a', domains, drain_ms: 5_000 });
		expect(form.routed).toBe(true);
		form.drain = '1';
		form.addDomain();
		Object.assign(form.domains[1] ?? {}, { name: ' www.shop.example ', port: '3000' });
		form.addDomain();
		expect(form.spec()).toMatchObject({
			domains: [...domains, { name: 'www.shop.example', port: 3000 }],
			drain_ms: 1_000,
		});
	});

	it('keeps a stored secret unless another is typed', () => {
		const form = new SpecForm(stored);
		const secret = form.env[1];
		if (!secret) throw new Error('the secret has a row');
		expect(form.spec()?.env?.[1]).toEqual({ name: 'API_KEY', secret: true });
		secret.value = 'new';
		expect(form.spec()?.env?.[1]).toEqual({ name: 'API_KEY', value: 'new', secret: true });
	});

	it('never empties a secret that was kept: what is plain needs its value typed', () => {
		const form = new SpecForm(stored);
		Object.assign(form.env[1] ?? {}, { secret: false });
		expect(form.spec()?.env?.[1]).toEqual({ name: 'API_KEY' });
		form.show('json');
		form.show('form');
		expect(form.spec()?.env?.[1]).toEqual({ name: 'API_KEY' });
		const needsValue = { field: '/spec/env/1/value', message: 'a plain variable needs a value' };
		expect(form.refuse(refusal(needsValue))).toBeUndefined();
		expect(form.error('/spec/env/1/value')).toBe('a plain variable needs a value');
	});

	it('says at its field what is no number, and keeps what was typed', () => {
		const form = new SpecForm({ image: 'a' });
		form.addPort();
		Object.assign(form.ports[0] ?? {}, { container: 'http', host: '80' });
		form.addDomain();
		Object.assign(form.domains[0] ?? {}, { name: 'shop.example' });
		form.health.http.on = true;
		expect(form.spec()).toBeUndefined();
		expect(Object.keys(form.errors)).toEqual([
			'/spec/health/http/port',
			'/spec/ports/0/container',
			'/spec/domains/0/port',
		]);
		expect(form.ports[0]?.container).toBe('http');
	});

	it('drops rows that nobody filled, so that the server’s indexes are the form’s', () => {
		const form = new SpecForm({ image: 'a' });
		form.addEnv();
		form.addEnv();
		Object.assign(form.env[1] ?? {}, { name: 'A', value: '1' });
		form.addPort();
		expect(form.spec()).toMatchObject({ env: [{ name: 'A', value: '1' }], ports: [] });
		expect(form.env).toHaveLength(1);
	});

	it('writes the checks that are switched on', () => {
		const form = new SpecForm({ image: 'a' });
		form.health.tcp = { on: true, port: '5432' };
		form.health.uptime = { on: true, seconds: '2.5' };
		expect(form.spec()?.health).toEqual({ tcp: { port: 5432 }, min_uptime_ms: 2_500 });
	});

	it('shows the server’s problems at the fields, and returns what has none', () => {
		const form = new SpecForm(stored);
		const image = { field: '/spec/image', message: 'expected an image reference' };
		expect(form.refuse(refusal(image))).toBeUndefined();
		expect(form.error('/spec/image')).toBe('expected an image reference');
		const hidden = refusal(image, { field: '/spec/volumes/0/target', message: 'expected a path' });
		expect(form.refuse(hidden)).toBe(hidden);
	});
});

describe('the JSON of a specification', () => {
	it('is the form’s, and the form is the JSON’s', () => {
		const form = new SpecForm(stored);
		form.image = 'shop:1.5';
		form.show('json');
		expect(JSON.parse(form.json)).toEqual({ ...stored, image: 'shop:1.5' });
		form.json = JSON.stringify({ image: 'shop:2', networks: ['back'] });
		form.show('form');
		expect(form.image).toBe('shop:2');
		expect(form.spec()).toMatchObject({ image: 'shop:2', networks: ['back'] });
	});

	it('stays as it was typed while it cannot be read', () => {
		const form = new SpecForm(stored);
		form.show('json');
		form.json = '{"image": ';
		form.show('form');
		expect(form.mode).toBe('json');
		expect(form.json).toBe('{"image": ');
		expect(form.error('')).toBeTruthy();
		expect(form.spec()).toBeUndefined();
	});
});
