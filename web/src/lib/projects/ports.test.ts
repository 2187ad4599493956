import { describe, expect, it } from 'vitest';
import type { Spec } from '$lib/api/schema';
import { holdable, portWord } from './ports';

const web = { host: 8080, container: 80 };
const domains = [{ name: 'shop.example', port: 3000 }];
const spec: Spec = { image: 'shop:1', ports: [web, { container: 9000 }] };
const held = { ports: [web], domains: [] };

it('a port in a word', () => {
	expect(portWord(web)).toBe('8080 → 80');
	expect(portWord({ ...web, host_ip: '0.0.0.0' })).toBe('8080 → 80');
	expect(portWord({ ...web, host_ip: '127.0.0.1' })).toBe('127.0.0.1:8080 → 80');
	expect(portWord({ container: 9000 })).toBe('any → 9000');
});

describe('ports that can be held', () => {
	it('are those that name one of the host', () => {
		expect(holdable(spec)).toEqual(held);
		expect(holdable({ ...spec, routing: 'port-hold' })).toEqual(held);
		expect(holdable({ image: 'shop:1' })).toBeUndefined();
	});

	it('are not needed where domains lead to it', () => {
		expect(holdable({ image: 'shop:1', domains })).toEqual({ ports: [], domains });
		expect(holdable({ ...spec, domains })).toEqual({ ports: [web], domains });
		expect(holdable({ image: 'shop:1', domains, networks: ['none'] })).toBeUndefined();
	});

	it('are none where the container publishes them itself', () => {
		expect(holdable({ ...spec, routing: 'stop-first' })).toBeUndefined();
		const dns = { host: 53, container: 53, protocol: 'udp' } as const;
		expect(holdable({ ...spec, ports: [web, dns] })).toBeUndefined();
		expect(holdable({ ...spec, networks: ['host'] })).toBeUndefined();
	});
});
