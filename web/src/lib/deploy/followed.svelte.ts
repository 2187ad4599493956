import type { Deploy, Event, PullProgress, ResetReason } from '$lib/api/schema';
import { whyLost } from '$lib/live/gap';
import type { Live } from '$lib/live/live.svelte';
import { LogFeed } from './feed.svelte';
import { type Candidate, concerns, fold, foldInstance, hasEnded, wantsSnapshot } from './fold';
import { loadDeploy, type LoadedDeploy, loadInstances, loadLines, type LogPage } from './load';

/** One deploy, its container and its log, kept current by the tab's stream. */
export class FollowedDeploy {
	deploy = $state.raw<Deploy>() as Deploy;
	progress = $state.raw<PullProgress>();
	instance = $state.raw<Candidate>();
	/** Why the newest state could not be loaded; what is shown is older. */
	problem = $state.raw<unknown>();
	readonly feed: LogFeed;
	readonly ended = $derived.by(() => hasEnded(this.deploy));

	readonly #live: Pick<Live, 'watch'>;
	readonly #id: number;
	readonly #start: number;
	/** Events since the last snapshot: one that was read before them must not undo them. */
	#told: Event[] = [];
	/** Of the newest snapshot that was taken: answers may overtake each other. */
	#asOf = 0;
	#unwatch = () => {};
	readonly #left = new AbortController();

	constructor(live: Pick<Live, 'watch'>, deploy: LoadedDeploy, page: LogPage) {
		this.#live = live;
		this.#id = deploy.id;
		this.deploy = deploy;
		this.feed = new LogFeed(deploy.id, page);
		// Both were read, one after the other: what lies between is handed over again.
		this.#start = Math.min(deploy.as_of.id, page.as_of.id);
	}

	/** Follows until the returned function is called. */
	start(): () => void {
		this.#watch(this.#start);
		void this.#attempt(async () => {
			await Promise.all([this.#loadInstance(), this.feed.loadOlder(this.#left.signal)]);
		});
		return () => {
			this.#left.abort();
			this.#unwatch();
		};
	}

	/** Loads everything again. */
	reload(): Promise<void> {
		return this.#attempt(async () => {
			const [deploy, page] = await Promise.all([loadDeploy(this.#id), loadLines(this.#id)]);
			if (this.#left.signal.aborted) return;
			this.#takeSnapshot(deploy);
			this.feed.replace(page);
			this.#watch(Math.min(deploy.as_of.id, page.as_of.id));
			await Promise.all([this.#loadInstance(), this.feed.loadOlder(this.#left.signal)]);
		});
	}

	#watch(after: number): void {
		this.#unwatch();
		this.#unwatch = this.#live.watch({
			after,
			logs: this.#id,
			onEvents: (events) => this.#accept(events),
			onReset: (reason) => void this.#lost(reason),
		});
	}

	#accept(events: Event[]): void {
		this.feed.accept(events);
		const news = events.filter((event) => concerns(event, this.#id, this.instance?.id));
		this.#told.push(...news);
		this.deploy = news.reduce(fold, this.deploy);
		this.instance = news.reduce(
			(instance, event) => foldInstance(instance, event, this.#id),
			this.instance,
		);
		for (const event of news)
			if (event.type === 'deploy_status') this.progress = event.payload.progress ?? this.progress;
		if (news.some(wantsSnapshot)) void this.#refresh();
	}

	/** Takes what events do not say. */
	#refresh(): Promise<void> {
		return this.#attempt(async () => {
			this.#takeSnapshot(await loadDeploy(this.#id));
			if (!this.instance) await this.#loadInstance();
		});
	}

	#takeSnapshot(deploy: LoadedDeploy): void {
		if (deploy.as_of.id < this.#asOf) return;
		this.#asOf = deploy.as_of.id;
		this.#told = this.#told.filter((event) => event.id > deploy.as_of.id);
		this.deploy = this.#told.reduce(fold, deploy);
	}

	async #loadInstance(): Promise<void> {
		const { items, as_of } = await loadInstances(this.deploy.project);
		const found = items.find(({ id }) => id === this.deploy.instance) ?? this.instance;
		this.instance = this.#told
			.filter((event) => event.id > as_of.id)
			.reduce((instance, event) => foldInstance(instance, event, this.#id), found);
	}

	async #lost(reason: ResetReason): Promise<void> {
		// Ids of another journal say nothing about the snapshot to come.
		this.#told = [];
		this.#asOf = 0;
		await this.reload();
		this.feed.log.note(`gap: ${whyLost(reason)} · reloaded`);
	}

	/** What fails is shown beside what was known. */
	async #attempt(load: () => Promise<void>): Promise<void> {
		try {
			await load();
			this.problem = undefined;
		} catch (error) {
			this.problem = error;
		}
	}
}
