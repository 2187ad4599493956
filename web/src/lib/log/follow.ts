/**
 * Whether the view follows the end of the log. Only the reader decides: scrolling
 * up pauses, and nothing but a scroll of their own to the end, or the button,
 * goes on. The program's own scrolling never changes it.
 */
export type Follow = { kind: 'following' } | { kind: 'paused'; unseen: number };

export type Signal =
	/** The view moved. */
	| { kind: 'scrolled'; byUser: boolean; up: boolean; atEnd: boolean }
	/** The reader pulls the view up, before it has moved. */
	| { kind: 'pulled_up' }
	/** The reader looks at one place: a match, a linked line. */
	| { kind: 'held' }
	| { kind: 'grew'; lines: number }
	| { kind: 'resumed' };

export const following: Follow = { kind: 'following' };
const paused: Follow = { kind: 'paused', unseen: 0 };

export function next(follow: Follow, signal: Signal): Follow {
	switch (signal.kind) {
		case 'resumed':
			return following;
		case 'held':
		case 'pulled_up':
			return follow.kind === 'paused' ? follow : paused;
		case 'grew':
			return follow.kind === 'paused'
				? { ...follow, unseen: follow.unseen + signal.lines }
				: follow;
		case 'scrolled':
			return afterScroll(follow, signal);
	}
}

function afterScroll(follow: Follow, { byUser, up, atEnd }: Signal & { kind: 'scrolled' }): Follow {
	if (!byUser) return follow;
	if (follow.kind === 'following') return up && !atEnd ? paused : follow;
	return !up && atEnd ? following : follow;
}
