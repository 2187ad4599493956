import type { LaneView, PortSpec, Spec } from '$lib/api/schema';

const EVERYWHERE = ['0.0.0.0', '::'];

/** `8080 → 80`, with its address on the host where that is not every one. */
export function portWord({ host_ip: ip, host, container }: PortSpec): string {
	return `${!ip || EVERYWHERE.includes(ip) ? '' : `${ip}:`}${host ?? 'any'} → ${container}`;
}

/** On these a container has no address to which a held port could lead. */
const APART = /^(host|none|container:.*)$/;

/** The ports that the data plane holds for it: all that name one of the host, or none. */
export function holdable({ ports = [], routing, networks = [] }: Spec): PortSpec[] {
	if (routing === 'stop-first' || networks.some((name) => APART.test(name))) return [];
	const named = ports.filter(({ host }) => host != null);
	return named.every(({ protocol }) => protocol !== 'udp') ? named : [];
}

/**
 * The ports that are held for what serves. A lane tells what its next deploy will run:
 * what the instance publishes by itself, and what no deploy was for, is not held yet.
 */
export function heldPorts(lane: LaneView): PortSpec[] {
	const { generation, latest_deploy: latest, instances, spec } = lane;
	if (generation == null || latest?.strategy === 'start-first') return [];
	const own = instances
		.filter((one) => one.generation === generation)
		.flatMap(({ ports }) => ports);
	const held = holdable(spec);
	return held.some((port) => own.some(({ container }) => container === port.container)) ? [] : held;
}
