import { describe, expect, it } from 'vitest';
import type { Instance, LaneView, PublishedPort, Spec } from '$lib/api/schema';
import { heldPorts, holdable, portWord } from './ports';

const web = { host: 8080, container: 80 };
const spec: Spec = { image: 'shop:1', ports: [web, { container: 9000 }] };

it('a port in a word', () => {
	expect(portWord(web)).toBe('8080 → 80');
	expect(portWord({ ...web, host_ip: '0.0.0.0' })).toBe('8080 → 80');
	expect(portWord({ ...web, host_ip: '127.0.0.1' })).toBe('127.0.0.1:8080 → 80');
	expect(portWord({ container: 9000 })).toBe('any → 9000');
});

describe('ports that can be held', () => {
	it('are those that name one of the host', () => {
		expect(holdable(spec)).toEqual([web]);
		expect(holdable({ ...spec, routing: 'port-hold' })).toEqual([web]);
		expect(holdable({ image: 'shop:1' })).toEqual([]);
	});

	it('are none where the container publishes them itself', () => {
		expect(holdable({ ...spec, routing: 'stop-first' })).toEqual([]);
		const dns = { host: 53, container: 53, protocol: 'udp' } as const;
		expect(holdable({ ...spec, ports: [web, dns] })).toEqual([]);
		expect(holdable({ ...spec, networks: ['host'] })).toEqual([]);
	});
});

describe('the ports of a lane', () => {
	const published = (port: typeof web): PublishedPort => ({
		...port,
		host_ip: '0.0.0.0',
		protocol: 'tcp',
	});
	const instance = (...ports: PublishedPort[]) => ({ generation: 2, ports }) as Instance;
	const lane = (change: Partial<LaneView>) =>
		({ spec, generation: 2, instances: [instance()], queued: 0, ...change }) as LaneView;

	it('are held once something serves', () => {
		expect(heldPorts(lane({}))).toEqual([web]);
		expect(heldPorts(lane({ generation: null }))).toEqual([]);
	});

	it('are not held while the instance that serves publishes them', () => {
		expect(heldPorts(lane({ instances: [instance(published(web))] }))).toEqual([]);
		const other = published({ host: 32768, container: 9000 });
		expect(heldPorts(lane({ instances: [instance(other)] }))).toEqual([web]);
		const old = { ...instance(published(web)), generation: 1 };
		expect(heldPorts(lane({ instances: [old, instance()] }))).toEqual([web]);
	});

	it('are not held before a deploy that knows of them', () => {
		const latest = { strategy: 'start-first' } as LaneView['latest_deploy'];
		expect(heldPorts(lane({ latest_deploy: latest }))).toEqual([]);
	});
});
