import type { DeployStatusPayload, Event, InstanceStatusPayload } from '$lib/api/schema';
import { bytes, count, duration, words } from '$lib/ui/format';

/** What happened, in one line for people. */
export function describe(event: Event): string {
	switch (event.type) {
		case 'deploy_log':
			return event.payload.line;
		case 'deploy_status':
			return deploy(event.payload);
		case 'instance_status':
			return instance(event.payload);
		case 'project_status': {
			const { change, project, stage } = event.payload;
			return `Project ${project} ${change}${stage ? `, stage ${stage}` : ''}`;
		}
		case 'event_annotated': {
			const added = Object.keys(event.payload.annotations).join(', ');
			return `Event ${event.payload.event} got ${added || 'nothing'} from ${event.payload.plugin}`;
		}
		case 'plugin_status': {
			const { plugin, state, error } = event.payload;
			return `Plugin ${plugin}: ${words(state)}${error ? `, ${error}` : ''}`;
		}
		case 'delivery_status': {
			const { sink, status, events, attempt, reason } = event.payload;
			const tries = attempt > 1 ? ` at attempt ${attempt}` : '';
			return `${count(events.length, 'event')} to ${sink}: ${words(status)}${tries}${reason ? `, ${reason}` : ''}`;
		}
		case 'watch_gap':
			return `The watch of the engine had a gap: ${event.payload.reason}`;
		case 'audit':
			return `${event.payload.action} ${event.payload.resource}: ${event.payload.outcome}`;
		case 'system':
			return event.payload.message;
		default:
			return words((event as { type: string }).type);
	}
}

function deploy(payload: DeployStatusPayload): string {
	const { deploy_id: id, step, step_status: stepStatus, message, failure, progress } = payload;
	const took = payload.duration_ms != null ? ` in ${duration(payload.duration_ms)}` : '';
	if (progress) {
		const { current_bytes: current, total_bytes: total } = progress;
		return `Deploy ${id}: pulled ${bytes(current)} of ${bytes(total)}`;
	}
	const what = step && stepStatus ? `${step} ${words(stepStatus)}` : words(payload.status);
	const why =
		failure?.reason ??
		message ??
		(payload.recovered && `${payload.project}/${payload.stage} is well again`);
	return `Deploy ${id}: ${what}${took}${why ? `, ${why}` : ''}`;
}

/** In these the exit code is the news, not a remnant of an earlier run. */
const ENDED = new Set(['exited', 'dead', 'restarting']);

/** A crash loop goes on with these. */
const LOOPING = new Set(['unexpected_exit', 'oom', 'killed', 'exited', 'started', 'restarted']);

function instance(payload: InstanceStatusPayload): string {
	const { name, reason, exit_code: code, planned, restart_count: restarts } = payload;
	const details = [
		code != null && ENDED.has(payload.status) && `exit code ${code}`,
		reason === 'crash_loop' && restarts > 0 && count(restarts, 'restart'),
		LOOPING.has(reason) && payload.crash_loop_since && 'in a crash loop',
		planned && 'planned',
	].filter(Boolean);
	const suffix = details.length > 0 ? ` (${details.join(', ')})` : '';
	return `Instance ${name} ${reason === 'resync' ? `is ${payload.status}` : words(reason)}${suffix}`;
}

/** The page that shows more about it. */
export function hrefOf(event: Event): string | undefined {
	switch (event.type) {
		case 'deploy_log':
		case 'deploy_status':
			return `/deploys/${event.payload.deploy_id}`;
		case 'project_status':
			return event.payload.change === 'deleted' ? undefined : project(event.payload.project);
		case 'instance_status':
			return event.payload.project ? project(event.payload.project) : undefined;
		case 'plugin_status':
			return `/plugins/${encodeURIComponent(event.payload.plugin)}`;
		case 'delivery_status':
			return `/plugins/${encodeURIComponent(event.payload.sink)}`;
		default:
			return undefined;
	}
}

function project(name: string): string {
	return `/projects/${encodeURIComponent(name)}`;
}
