import { isFinal } from '$lib/api/client';
import type { Deploy, Event, PullProgress, ResetReason } from '$lib/api/schema';
import { whyLost } from '$lib/live/gap';
import type { Live } from '$lib/live/live.svelte';
import { Retry } from '$lib/live/retry';
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

	readonly #live: Pick<Live, 'status' | 'watch'>;
	readonly #id: number;
	readonly #start: number;
	/** Events since the last snapshot: one that was read before them must not undo them. */
	#told: Event[] = [];
	/** Why history was lost that has not been loaded again yet. */
	#lost: ResetReason | undefined;
	/** The newest attempt to load: it includes what those before it had not come to. */
	#loading = new AbortController();
	#retrying: Retry;
	#unwatch = () => {};

	constructor(live: Pick<Live, 'status' | 'watch'>, deploy: LoadedDeploy, page: LogPage) {
		this.#live = live;
		this.#retrying = new Retry(live, () => void this.refresh());
		this.#id = deploy.id;
		this.deploy = deploy;
		this.feed = new LogFeed(deploy.id, page);
		// Both were read, one after the other: what lies between is handed over again.
		this.#start = Math.min(deploy.as_of.id, page.as_of.id);
	}

	/** Follows until the returned function is called. */
	start(): () => void {
		this.#watch(this.#start);
		void this.#attempt((signal) => this.#loadRest(signal));
		return () => {
			this.#loading.abort();
			this.#unwatch();
			this.#retrying.stop();
		};
	}

	/** Takes what events do not say, and what could not be loaded before. */
	refresh(): Promise<void> {
		return this.#attempt((signal) =>
			this.#lost ? this.#loadAnew(signal) : this.#loadNews(signal),
		);
	}

	#watch(after: number): void {
		this.#unwatch = this.#live.watch({
			after,
			logs: this.#id,
			onEvents: (events) => this.#accept(events),
			onReset: (reason) => this.#lose(reason),
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
		if (news.some(wantsSnapshot)) void this.refresh();
	}

	#lose(reason: ResetReason): void {
		this.#lost = reason;
		this.#unwatch();
		// Ids of another journal say nothing about the snapshot to come.
		this.#told = [];
		void this.refresh();
	}

	async #loadNews(signal: AbortSignal): Promise<void> {
		const deploy = await loadDeploy(this.#id);
		if (signal.aborted) return;
		this.#takeSnapshot(deploy);
		await this.#loadRest(signal);
	}

	async #loadAnew(signal: AbortSignal): Promise<void> {
		const [deploy, page] = await Promise.all([loadDeploy(this.#id), loadLines(this.#id)]);
		if (signal.aborted || !this.#lost) return;
		this.#takeSnapshot(deploy);
		this.feed.replace(page);
		this.feed.log.note(`gap: ${whyLost(this.#lost)} · reloaded`);
		this.#lost = undefined;
		this.#watch(Math.min(deploy.as_of.id, page.as_of.id));
		await this.#loadRest(signal);
	}

	async #loadRest(signal: AbortSignal): Promise<void> {
		await Promise.all([this.#loadInstance(signal), this.feed.loadOlder(signal)]);
	}

	#takeSnapshot(deploy: LoadedDeploy): void {
		this.#told = this.#told.filter((event) => event.id > deploy.as_of.id);
		this.deploy = this.#told.reduce(fold, deploy);
	}

	async #loadInstance(signal: AbortSignal): Promise<void> {
		const { items, as_of } = await loadInstances(this.deploy.project);
		if (signal.aborted) return;
		const found = items.find(({ id }) => id === this.deploy.instance) ?? this.instance;
		this.instance = this.#told
			.filter((event) => event.id > as_of.id)
			.reduce((instance, event) => foldInstance(instance, event, this.#id), found);
	}

	/** What fails is shown beside what was known, and asked for again. */
	async #attempt(load: (signal: AbortSignal) => Promise<void>): Promise<void> {
		this.#retrying.stop();
		this.#loading.abort();
		this.#loading = new AbortController();
		const { signal } = this.#loading;
		try {
			await load(signal);
			if (signal.aborted) return;
			this.problem = undefined;
			this.#retrying.succeeded();
		} catch (error) {
			if (signal.aborted) return;
			this.problem = error;
			if (!isFinal(error)) this.#retrying.failed();
		}
	}
}
