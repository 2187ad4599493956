import { ApiError } from '$lib/api/client';
import type {
	EnvEntry,
	FieldProblem,
	PortSpec,
	PullPolicy,
	RegistryAuth,
	Routing,
	Spec,
} from '$lib/api/schema';
import { domainRows, domainSpecs, type DomainRow } from './domains';
import { healthRows, healthSpec, type HealthRows } from './health';
import { Numbers, text } from './numbers';

/** The server's own defaults. */
const BAKE_MS = 60_000;
const DRAIN_MS = 30_000;

/** What is typed for a port, a number or not. */
interface PortRow {
	container: string;
	host: string;
	/** What the form does not show of it. */
	rest: Partial<PortSpec>;
}

interface EnvRow {
	name: string;
	value: string;
	secret: boolean;
	/** Came without a value: as long as none is typed, none is sent. */
	kept: boolean;
}

/** A specification while a person edits it, as a form or as JSON. Holds all that was typed. */
export class SpecForm {
	mode: 'form' | 'json' = $state('form');
	json = $state('');
	image = $state('');
	pull: PullPolicy = $state('always');
	ports: PortRow[] = $state([]);
	domains: DomainRow[] = $state([]);
	/** Who holds the published ports, and the way from the domains. */
	routing: Routing = $state('port-hold');
	/** Seconds that connections to the old instance may go on. */
	drain = $state('');
	env: EnvRow[] = $state([]);
	health: HealthRows = $state(healthRows({}));
	/** Seconds that it is watched once it serves. */
	bake = $state('');
	/** Who asks a private registry; no name means nobody. */
	registry = $state({ username: '', password: '', kept: false });
	/** What is wrong, by the JSON pointer of the field. */
	errors: Record<string, string> = $state.raw({});

	/** The whole specification, for what the form has no fields for. */
	#base: Spec = { image: '' };

	constructor(spec: Spec = { image: '' }) {
		this.#read(spec);
	}

	addPort = () => this.ports.push({ container: '', host: '', rest: {} });
	addDomain = () => this.domains.push({ name: '', port: '' });
	addEnv = () => this.env.push({ name: '', value: '', secret: false, kept: false });

	/** It has domains, or names a port of the host: somebody has to hold them. */
	get routed(): boolean {
		return this.domains.length > 0 || this.ports.some(({ host }) => host.trim() !== '');
	}

	error(pointer: string): string | undefined {
		return this.errors[pointer];
	}

	/** Shows the other view of the same specification; stays where the JSON cannot be read. */
	show(mode: 'form' | 'json'): void {
		if (mode === this.mode) return;
		if (mode === 'form') {
			const spec = this.#parsed();
			if (!spec) return;
			this.#read(spec);
		} else {
			const spec = this.#written();
			if (!spec) return;
			this.json = JSON.stringify(spec, undefined, 2);
		}
		this.errors = {};
		this.mode = mode;
	}

	/** What to send; nothing, with `errors` set, where it is no specification. */
	spec(): Spec | undefined {
		return this.mode === 'json' ? this.#parsed() : this.#written();
	}

	/** Shows what the server found at the fields. Returns what belongs to none of them. */
	refuse(error: unknown): unknown {
		if (!(error instanceof ApiError) || error.fields.length === 0) return error;
		this.errors = Object.fromEntries(error.fields.map(({ field, message }) => [field, message]));
		if (this.mode === 'json') return new Error(error.fields.map(line).join('; '));
		return error.fields.every(({ field }) => SHOWN.test(field)) ? undefined : error;
	}

	#read(spec: Spec): void {
		this.#base = spec;
		this.image = spec.image;
		this.pull = spec.pull ?? 'always';
		this.ports = (spec.ports ?? []).map(({ container, host, ...rest }) => ({
			container: text(container),
			host: text(host),
			rest,
		}));
		this.domains = domainRows(spec.domains ?? []);
		this.routing = spec.routing ?? 'port-hold';
		this.drain = text((spec.drain_ms ?? DRAIN_MS) / 1000);
		this.env = (spec.env ?? []).map(({ name, value, secret = false }) => ({
			name,
			value: value ?? '',
			secret,
			kept: value == null,
		}));
		this.health = healthRows(spec.health ?? {});
		this.bake = text((spec.bake_ms ?? BAKE_MS) / 1000);
		const username = spec.registry_auth?.username ?? '';
		this.registry = { username, password: '', kept: username !== '' };
	}

	#parsed(): Spec | undefined {
		try {
			const spec: unknown = JSON.parse(this.json);
			if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) {
				throw new Error('expected an object such as {"image": "nginx:1.27"}');
			}
			this.errors = {};
			return spec as Spec;
		} catch (error) {
			this.errors = { '': error instanceof Error ? error.message : String(error) };
			return undefined;
		}
	}

	#written(): Spec | undefined {
		this.#dropEmptyRows();
		const numbers = new Numbers();
		const health = healthSpec(this.health, this.#base.health ?? {}, numbers);
		const ports = this.ports.map(({ container, host, rest }, i) => ({
			...rest,
			container: numbers.required(`/spec/ports/${i}/container`, container),
			...(host.trim() && { host: numbers.required(`/spec/ports/${i}/host`, host) }),
		}));
		const domains = domainSpecs(this.domains, numbers);
		const bake_ms = Math.round(1000 * numbers.required('/spec/bake_ms', this.bake));
		const drain_ms = this.#drainMs(numbers);
		this.errors = numbers.errors;
		if (Object.keys(numbers.errors).length > 0) return undefined;
		const { image, pull, routing } = this;
		const env = this.env.map(entry);
		const registry_auth = this.#registryAuth();
		const base = { ...this.#base, image: image.trim(), pull, ports, domains, env, health };
		return { ...base, routing, drain_ms, bake_ms, registry_auth };
	}

	/** What was typed counts only where its field is seen. */
	#drainMs(numbers: Numbers): number {
		if (!this.routed || this.routing !== 'port-hold') return this.#base.drain_ms ?? DRAIN_MS;
		return Math.round(1000 * numbers.required('/spec/drain_ms', this.drain));
	}

	#registryAuth(): RegistryAuth | undefined {
		const { password, kept } = this.registry;
		const username = this.registry.username.trim();
		if (username === '' && password === '') return undefined;
		return kept && password === '' ? { username } : { username, password };
	}

	/** A row that nobody filled means nothing, and would shift the server's indexes. */
	#dropEmptyRows(): void {
		this.ports = this.ports.filter(({ container, host }) => container.trim() || host.trim());
		this.domains = this.domains.filter(({ name, port }) => name.trim() || port.trim());
		this.env = this.env.filter(({ name, value }) => name.trim() || value);
	}
}

/** The fields at which the form can show a problem. */
const SHOWN =
	/^\/(name|spec\/(image|ports\/\d+(\/(host|container))?|domains(\/\d+\/(name|port))?|env\/\d+\/(name|value)|health\/(http|tcp|min_uptime_ms).*|bake_ms|drain_ms|registry_auth\/(username|password)))$/;

function entry({ name, value, secret, kept }: EnvRow): EnvEntry {
	const given = kept && value === '' ? {} : { value };
	return { name: name.trim(), ...given, ...(secret && { secret }) };
}

function line({ field, message }: FieldProblem): string {
	return `${field.replace(/^\/spec/, '')}: ${message}`;
}
