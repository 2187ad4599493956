import type { HeldPorts, PortSpec, Spec } from '$lib/api/schema';

const EVERYWHERE = ['0.0.0.0', '::'];

/** `8080 → 80`, with its address on the host where that is not every one. */
export function portWord({ host_ip: ip, host, container }: PortSpec): string {
	return `${!ip || EVERYWHERE.includes(ip) ? '' : `${ip}:`}${host ?? 'any'} → ${container}`;
}

/** On these a container has no address to which a held port could lead. */
const APART = /^(host|none|container:.*)$/;

/**
 * What a deploy of this would hold: all ports that name one of the host, and all domains;
 * nothing where one cannot be held.
 */
export function holdable(spec: Spec): HeldPorts | undefined {
	const { ports = [], domains = [], routing, networks = [] } = spec;
	if (routing === 'stop-first' || networks.some((name) => APART.test(name))) return undefined;
	const named = ports.filter(({ host }) => host != null);
	if (named.some(({ protocol }) => protocol === 'udp')) return undefined;
	return named.length + domains.length > 0 ? { ports: named, domains } : undefined;
}
