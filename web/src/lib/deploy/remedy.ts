import type { Deploy, Failure } from '$lib/api/schema';

/** What a person can do about a failure. */
export function remedy(failure: Failure, { image, spec }: Pick<Deploy, 'image' | 'spec'>): string {
	const { step, reason, exit_code: code } = failure;
	if (failure.oom)
		return `The program needs more memory than its limit${limit(spec.limits?.memory_bytes)}. Raise the memory limit of this stage, or let the program use less.`;
	if (/port is already allocated|address already in use/i.test(reason))
		return 'Another container or program holds the port. Stop it, or choose another host port for this stage.';
	if (step === 'pull')
		return `Check the name of the image, and that the engine reaches its registry. “docker pull ${image}” on the host shows the same error.`;
	if (step === 'bake' && /crash loop/.test(reason))
		return 'The program passed its checks and ended soon after, again and again. The last lines of its output say why.';
	if (code === 126 || code === 127 || /executable file not found|no such file/i.test(reason))
		return 'The image has no such command, or it cannot be executed. Check the command and the entrypoint of this stage.';
	if (/unhealthy|health check/i.test(reason))
		return 'The program runs, but its health check fails. See what the check said; give it a longer start period if the program is only slow to start.';
	if (/probe did not pass/i.test(reason))
		return 'Nothing answered the probe as expected. Check its port and path, and that the program listens on all addresses of the container (0.0.0.0), not only on 127.0.0.1.';
	if (code !== null && code !== undefined)
		return 'The program ended by itself. The last lines of its output say why.';
	return 'Mend the cause, and deploy again.';
}

function limit(bytes: number | null | undefined): string {
	return bytes ? ` of ${Math.round(bytes / 1024 / 1024)} MiB` : '';
}

/** What serves the stage after a deploy that did not succeed. */
export function afterwards({ plan, steps }: Pick<Deploy, 'plan' | 'steps'>): string {
	const restore = steps.find(({ name }) => name === 'restore' || name === 'rollback');
	if (restore?.status === 'succeeded') return 'The instance that served before serves again.';
	if (restore?.status === 'failed')
		return 'Nothing serves this stage: the old instance did not come back.';
	if (!plan) return 'Nothing was changed.';
	if (!plan.replaces) return 'Nothing serves this stage yet: there was no instance before.';
	const replaced = steps.find((step) => step.name === 'replace');
	if (!replaced || replaced.status === 'pending' || replaced.status === 'skipped')
		return 'The instance that served before was not touched, and serves on.';
	if (plan.strategy === 'port-hold') return 'The instance that served before serves on.';
	return 'The old instance had been stopped: see the steps.';
}
