import type { HealthSpec } from '$lib/api/schema';
import { text, type Numbers } from './numbers';

/** What is typed for when a new instance counts as good. */
export interface HealthRows {
	http: { on: boolean; port: string; path: string; status: string };
	tcp: { on: boolean; port: string };
	uptime: { on: boolean; seconds: string };
}

export function healthRows({ http, tcp, min_uptime_ms: uptime }: HealthSpec): HealthRows {
	return {
		http: {
			on: http != null,
			port: text(http?.port),
			path: http?.path ?? '/',
			status: text(http?.expect_status),
		},
		tcp: { on: tcp != null, port: text(tcp?.port) },
		uptime: { on: uptime != null, seconds: text(uptime != null ? uptime / 1000 : 10) },
	};
}

/** The checks that are switched on, and of `base` what the form has no fields for. */
export function healthSpec(rows: HealthRows, base: HealthSpec, numbers: Numbers): HealthSpec {
	const { http, tcp, uptime } = rows;
	const { docker, timeout_ms } = base;
	const at = '/spec/health';
	return {
		...(docker && { docker }),
		...(timeout_ms != null && { timeout_ms }),
		...(http.on && {
			http: {
				port: numbers.required(`${at}/http/port`, http.port),
				path: http.path.trim() || '/',
				...(http.status.trim() && {
					expect_status: numbers.required(`${at}/http/expect_status`, http.status),
				}),
			},
		}),
		...(tcp.on && { tcp: { port: numbers.required(`${at}/tcp/port`, tcp.port) } }),
		...(uptime.on && {
			min_uptime_ms: Math.round(1000 * numbers.required(`${at}/min_uptime_ms`, uptime.seconds)),
		}),
	};
}
