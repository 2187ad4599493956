import { answer, api } from '$lib/api/client';
import type { DeploySummary, Event } from '$lib/api/schema';
import { follow, type Snapshot } from '$lib/live/snapshot.svelte';

interface Wanted {
	project?: string;
	stage?: string;
	/** Comma-separated; all when absent. */
	status?: string;
}

const PAGE = 50;

/** Deploys, newest first: the newest page is followed, older ones are read when asked for. */
export class DeployList {
	#newest: Snapshot<{
		items: DeploySummary[];
		next?: string | null;
		as_of: { journal: string; id: number };
	}>;
	#older: DeploySummary[] = $state.raw([]);
	#next: string | null | undefined = $state.raw();
	loadingOlder = $state(false);
	problem: unknown = $state.raw();

	constructor(readonly wanted: Wanted) {
		this.#newest = follow({
			load: async () => {
				const page = await this.#ask();
				this.#keep(page);
				return page;
			},
			concerns: (event) =>
				event.type === 'deploy_status' && !event.payload.progress && this.#isOurs(event),
		});
	}

	get items(): DeploySummary[] | undefined {
		const newest = this.#newest.data?.items;
		if (!newest) return undefined;
		const last = newest.at(-1)?.id ?? Infinity;
		return [...newest, ...this.#older.filter(({ id }) => id < last)];
	}

	get failure(): unknown {
		return this.problem ?? this.#newest.problem;
	}

	get more(): boolean {
		return this.#cursor != null;
	}

	refresh = (): void => {
		this.problem = undefined;
		void this.#newest.refresh();
	};

	older = async (): Promise<void> => {
		this.loadingOlder = true;
		try {
			const { items, next } = await this.#ask(this.#cursor ?? undefined);
			this.#older = [...this.#older, ...items];
			this.#next = next ?? null;
			this.problem = undefined;
		} catch (error) {
			this.problem = error;
		} finally {
			this.loadingOlder = false;
		}
	};

	/**
	 * What a new page has no room for any more is older now. Of another history nothing is,
	 * nor where more came than a page holds: what lies between is not known.
	 */
	#keep({ items, as_of }: { items: DeploySummary[]; as_of: { journal: string } }): void {
		const before = this.#newest.data;
		if (!before || (this.#next === undefined && !this.loadingOlder)) return;
		const last = items.at(-1)?.id ?? Infinity;
		const isApart = last > (before.items[0]?.id ?? Infinity);
		if (isApart || before.as_of.journal !== as_of.journal) {
			this.#older = [];
			this.#next = undefined;
			return;
		}
		const first = this.#older[0]?.id ?? -Infinity;
		const gone = before.items.filter(({ id }) => id < last && id > first);
		this.#older = [...gone, ...this.#older];
	}

	get #cursor(): string | null | undefined {
		return this.#next === undefined ? this.#newest.data?.next : this.#next;
	}

	#ask(cursor?: string) {
		const query = { ...this.wanted, limit: PAGE, cursor };
		return answer(api.GET('/api/deploys', { params: { query } }));
	}

	#isOurs(event: Event): boolean {
		const { project } = event.payload as { project?: string };
		return this.wanted.project === undefined || project === this.wanted.project;
	}
}
