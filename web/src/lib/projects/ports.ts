import type { DomainSpec, LaneView, PortSpec, Spec } from '$lib/api/schema';

/** What leads to an instance through the data plane. */
export interface Held {
	ports: PortSpec[];
	domains: DomainSpec[];
}

const EVERYWHERE = ['0.0.0.0', '::'];

/** `8080 → 80`, with its address on the host where that is not every one. */
export function portWord({ host_ip: ip, host, container }: PortSpec): string {
	return `${!ip || EVERYWHERE.includes(ip) ? '' : `${ip}:`}${host ?? 'any'} → ${container}`;
}

/** On these a container has no address to which a held port could lead. */
const APART = /^(host|none|container:.*)$/;

/** All ports that name one of the host, and all domains; nothing where one cannot be held. */
export function holdable(spec: Spec): Held | undefined {
	const { ports = [], domains = [], routing, networks = [] } = spec;
	if (routing === 'stop-first' || networks.some((name) => APART.test(name))) return undefined;
	const named = ports.filter(({ host }) => host != null);
	if (named.some(({ protocol }) => protocol === 'udp')) return undefined;
	return named.length + domains.length > 0 ? { ports: named, domains } : undefined;
}

/**
 * What is held for the instance that serves. A lane tells what its next deploy will run:
 * what the instance publishes by itself, and what no deploy was for, is not held yet.
 */
export function heldFor(lane: LaneView): Held | undefined {
	const { generation, latest_deploy: latest, instances, spec } = lane;
	if (generation == null || latest?.strategy === 'start-first') return undefined;
	const own = instances
		.filter((one) => one.generation === generation)
		.flatMap(({ ports }) => ports);
	const held = holdable(spec);
	const publishes = held?.ports.some((port) =>
		own.some(({ container }) => container === port.container),
	);
	return publishes ? undefined : held;
}
