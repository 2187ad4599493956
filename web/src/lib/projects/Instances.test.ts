import { render, screen } from '@testing-library/svelte';
import { expect, it } from 'vitest';
import Instances from './Instances.svelte';

const ports = [{ host: 8080, container: 80 }];
const domains = [{ name: 'shop.example', port: 3000 }];

it('says in the open which ports are held', async () => {
	const { rerender } = render(Instances, { instances: [], held: { ports, domains: [] } });
	expect(screen.getByTestId('held')).toHaveTextContent(/^8080 → 80 held by tiny-forge$/);
	for (const held of [undefined, null]) {
		await rerender({ held });
		expect(screen.queryByTestId('held')).toBeNull();
	}
});

it('links the domains that lead to it', async () => {
	const { rerender } = render(Instances, { instances: [], held: { ports, domains } });
	const told = '8080 → 80 https://shop.example → 3000 held by tiny-forge';
	expect(screen.getByTestId('held')).toHaveTextContent(told);
	const link = screen.getByRole('link', { name: 'https://shop.example' });
	expect(link).toHaveAttribute('href', 'https://shop.example');
	expect(link).toHaveAttribute('rel', 'noreferrer');
	await rerender({ held: { ports: [], domains } });
	expect(screen.getByTestId('held')).toHaveTextContent(/^https:/);
});
