import { render, screen } from '@testing-library/svelte';
import { expect, it, vi } from 'vitest';
import type { Spec } from '$lib/api/schema';
import Config from './Config.svelte';

vi.mock('$app/navigation', () => ({ goto: vi.fn(), beforeNavigate: vi.fn() }));

function row(label: string, spec: Partial<Spec>): string | undefined {
	const { unmount } = render(Config, {
		project: 'shop',
		stage: 'prod',
		spec: { image: 'shop:1', ...spec },
	});
	const told = screen.queryByText(label)?.nextElementSibling?.textContent?.trim();
	unmount();
	return told;
}

const domains = [
	{ name: 'shop.example', port: 3000 },
	{ name: 'www.shop.example', port: 3000 },
];

it('shows where each domain leads', () => {
	expect(row('Domains', { domains })).toBe('shop.example → 3000\nwww.shop.example → 3000');
	expect(row('Domains', {})).toBeUndefined();
});

it('says who holds ports and domains', () => {
	const ports = [{ host: 8080, container: 80 }];
	expect(row('Held by', {})).toBeUndefined();
	expect(row('Held by', { ports })).toMatch(/^tiny-forge: .* 30 s to end$/);
	expect(row('Held by', { domains })).toMatch(/^tiny-forge: /);
	expect(row('Held by', { ports, routing: 'stop-first' })).toMatch(/^the container: /);
	expect(row('Held by', { domains, networks: ['host'] })).toMatch(/^nobody: /);
});
