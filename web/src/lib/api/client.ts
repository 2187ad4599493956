import createClient from 'openapi-fetch';
import type { FieldProblem, paths, Problem } from './schema';

/** The server said no, or nothing at all. Carries what to show: what was asked, and why not. */
export class ApiError extends Error {
	override name = 'ApiError';

	constructor(
		readonly method: string,
		readonly path: string,
		readonly problem: Problem,
	) {
		super(problem.detail);
	}

	/** It may have been done, or not. */
	get unanswered(): boolean {
		return this.problem === unanswered;
	}

	get status(): number {
		return this.problem.status;
	}

	/** What is wrong with each field, by its JSON pointer. */
	get fields(): FieldProblem[] {
		return this.problem.errors ?? [];
	}
}

/** The same question would have the same answer. */
export function isFinal(error: unknown): boolean {
	return (
		error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429
	);
}

/** The server of this page, typed by its own description: of the forms that an answer has, JSON. Every
 *  answer that is not a success throws. */
export const api = createClient<paths, 'application/json'>({
	baseUrl: location.origin,
	fetch: (request) => (request.method === 'GET' ? patiently(request) : once(request)),
});

/** A browser beside Docker drops requests whenever a network appears, as it does with every deploy. */
const RETRY_AFTER_MS = [100, 500];

/** A connection that hangs must not leave a page waiting for ever. */
const PATIENCE_MS = 30_000;

/** Nor a button disabled; what changes something may stop a program first, which takes its time. */
const WRITE_PATIENCE_MS = 60_000;

/** Reading again changes nothing: what never reached the server is asked once more. */
async function patiently(request: Request): Promise<Response> {
	const signal = within(PATIENCE_MS, request);
	for (const wait of RETRY_AFTER_MS) {
		try {
			return await globalThis.fetch(new Request(request, { signal }));
		} catch (error) {
			if (signal.aborted) throw error;
			await new Promise((resolve) => setTimeout(resolve, wait));
		}
	}
	return globalThis.fetch(new Request(request, { signal }));
}

/** What changes something may have reached the server though no answer came: it is not repeated. */
function once(request: Request): Promise<Response> {
	return globalThis.fetch(new Request(request, { signal: within(WRITE_PATIENCE_MS, request) }));
}

function within(ms: number, { signal }: Request): AbortSignal {
	return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}

api.use({
	onRequest({ request }) {
		// A page of another origin cannot send this type unasked: the server wants it on every write.
		if (request.method !== 'GET') request.headers.set('content-type', 'application/json');
	},
	async onResponse({ request, response }) {
		if (!response.ok) throw failure(request, await problemOf(response));
	},
	onError({ request, error }) {
		if (error instanceof DOMException && error.name === 'AbortError') return error;
		return failure(request, request.method === 'GET' ? unreachable : unanswered);
	},
});

/** The body of a successful answer. */
export async function answer<T>(call: Promise<{ data?: T }>): Promise<T> {
	const { data } = await call;
	return data as T;
}

function failure(request: Request, problem: Problem): ApiError {
	const { pathname, search } = new URL(request.url);
	return new ApiError(request.method, pathname + search, problem);
}

async function problemOf(response: Response): Promise<Problem> {
	const { status, statusText } = response;
	const title = statusText || `Status ${status}`;
	const said = response.headers.get('content-type')?.includes('json')
		? ((await response.json().catch(() => undefined)) as Partial<Problem> | undefined)
		: undefined;
	const detail = `the server answered with status ${status} and no explanation`;
	return { type: 'about:blank', title, status, detail, code: 'unexplained', ...said };
}

const unreachable: Problem = {
	type: 'about:blank',
	title: 'The server does not answer',
	status: 0,
	detail: 'the server does not answer: check that it runs and that this machine reaches it',
	code: 'unreachable',
};

const unanswered: Problem = {
	type: 'about:blank',
	title: 'No answer came',
	status: 0,
	detail: 'no answer came: it may have been done all the same, so look before you try again',
	code: 'unanswered',
};
