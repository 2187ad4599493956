import type { DomainSpec } from '$lib/api/schema';
import { text, type Numbers } from './numbers';

/** What is typed for a domain, its port a number or not. */
export interface DomainRow {
	name: string;
	port: string;
}

export function domainRows(domains: DomainSpec[]): DomainRow[] {
	return domains.map(({ name, port }) => ({ name, port: text(port) }));
}

export function domainSpecs(rows: DomainRow[], numbers: Numbers): DomainSpec[] {
	return rows.map(({ name, port }, i) => ({
		name: name.trim(),
		port: numbers.required(`/spec/domains/${i}/port`, port),
	}));
}
