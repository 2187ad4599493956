import { render } from '@testing-library/svelte';
import { expect, it } from 'vitest';
import LineText from './LineText.svelte';
import { clean } from './text';

it('draws markup in a line as text, also where a search matches inside of it', () => {
	const line = '\x1b[31m<img src=x onerror="alert(1)">\x1b[0m <script>alert(2)</script>';
	const { container } = render(LineText, { text: clean(line), query: 'script' });
	expect(container.textContent).toBe('<img src=x onerror="alert(1)"> <script>alert(2)</script>');
	expect(container.querySelector('img, script, a')).toBeNull();
	expect([...container.querySelectorAll('mark')].map((mark) => mark.textContent)).toEqual([
		'script',
		'script',
	]);
	expect(container.querySelector('.ansi-text-red')).toHaveTextContent('<img');
});

it('adds no space between runs: what is copied is what was written', () => {
	const { container } = render(LineText, { text: 'a\x1b[1mb\x1b[0m  c' });
	expect(container.textContent).toBe('ab  c');
});
