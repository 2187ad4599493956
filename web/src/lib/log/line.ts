import type { Event, LogLine, LogStream, StepName } from '$lib/api/schema';
import { type Level, levelOf } from './level';
import { clean, lastFrame, withoutColour } from './text';

/** A line as it is shown. */
export interface Line {
	/** Id of its event: the same in the journal, the API and the address bar. */
	id: number;
	time: string;
	/** `note` is ours: something to know about the log itself. */
	stream: LogStream | 'note';
	step: StepName | undefined;
	/** Text with colours; drawn only for the rows on screen. */
	coloured: string;
	/** Text alone: what is searched and copied. */
	text: string;
	level: Level;
}

export function toLine({ id, time, stream, step, line }: LogLine): Line {
	const coloured = clean(lastFrame(line));
	const text = withoutColour(coloured);
	return { id, time, stream, step, coloured, text, level: levelOf(text, stream) };
}

/** The log line that an event carries, if it is one of this deploy. */
export function logLineOf(event: Event, deploy: number): LogLine | undefined {
	if (event.type !== 'deploy_log' || event.payload.deploy_id !== deploy) return undefined;
	const { stream, step, line } = event.payload;
	return { id: event.id, time: event.time, stream, step, line };
}
