import { vi } from 'vitest';

const ROW_PX = 20;

/** What lists need and jsdom does not have: a screen, so high that `rows` lines of a log fit. */
export function fakeScreen(rows: number): void {
	class Observer {
		constructor(private readonly tell: ResizeObserverCallback) {}
		observe(target: Element) {
			const height = (target.role === 'log' ? rows : 1) * ROW_PX;
			const entry = { target, contentRect: { height } } as ResizeObserverEntry;
			queueMicrotask(() => this.tell([entry], this));
		}
		unobserve() {}
		disconnect() {}
	}
	vi.stubGlobal('ResizeObserver', Observer);
	vi.spyOn(HTMLElement.prototype, 'offsetParent', 'get').mockReturnValue(document.body);
	Element.prototype.scrollTo = function (this: Element, to?: ScrollToOptions | number) {
		if (typeof to !== 'object') return;
		this.scrollTop = to.top ?? 0;
		this.dispatchEvent(new Event('scroll'));
	};
}
