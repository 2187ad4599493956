import { render, screen } from '@testing-library/svelte';
import { expect, it } from 'vitest';
import Instances from './Instances.svelte';

it('says in the open which ports are held', async () => {
	const { rerender } = render(Instances, { instances: [], held: [{ host: 8080, container: 80 }] });
	expect(screen.getByTestId('held')).toHaveTextContent('8080 → 80 held by tiny-forge');
	await rerender({ held: [] });
	expect(screen.queryByTestId('held')).toBeNull();
});
