import type { StepName } from '$lib/api/schema';
import type { Line } from './line';

/** Which lines are shown. */
export interface LogFilter {
	least: 'info' | 'warn' | 'error';
	stream: 'all' | 'stdout' | 'stderr' | 'system';
	step: StepName | undefined;
}

const RANK = { info: 0, warn: 1, error: 2 } as const;

export function shown(lines: readonly Line[], filter: LogFilter): readonly Line[] {
	const { least, stream, step } = filter;
	if (least === 'info' && stream === 'all' && step === undefined) return lines;
	return lines.filter(
		(line) =>
			line.stream === 'note' ||
			(RANK[line.level] >= RANK[least] &&
				(stream === 'all' || line.stream === stream) &&
				(step === undefined || line.step === step)),
	);
}

/** Lines came or went at the start only: a list keeps its place from the end. */
export function changedAtStart(before: readonly Line[], now: readonly Line[]): boolean {
	const [first, last] = [now[0]?.id, now.at(-1)?.id];
	return last !== undefined && last === before.at(-1)?.id && first !== before[0]?.id;
}
