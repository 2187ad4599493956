import type { ResetReason } from '$lib/api/schema';
import { words } from '$lib/ui/format';

const WHY: Record<ResetReason, string> = {
	retention: 'older than what the server keeps',
	foreign_journal: 'the server has another journal than before',
	ahead: 'the server knows less than it did before',
};

/** Why history is lost, from the server's word for it. */
export function whyLost(reason: ResetReason): string {
	// A tab may be older than the server that it talks to by now.
	return WHY[reason] ?? words(reason);
}
