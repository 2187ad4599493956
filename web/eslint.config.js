import prettier from 'eslint-config-prettier';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

export default ts.config(
	{
		ignores: ['.svelte-kit', 'build', 'node_modules', 'test-results', 'src/lib/api/schema.d.ts'],
	},
	...ts.configs.recommended,
	...svelte.configs.recommended,
	prettier,
	...svelte.configs.prettier,
	{
		languageOptions: { globals: { ...globals.browser, ...globals.node } },
		rules: {
			'no-undef': 'off',
			'max-lines': ['error', 200],
			'@typescript-eslint/switch-exhaustiveness-check': 'off',
			// Every path is the SPA's own and the base is `/`: plain hrefs are right.
			'svelte/no-navigation-without-resolve': 'off',
			// Dates and query strings are made anew, never changed in place.
			'svelte/prefer-svelte-reactivity': 'off',
		},
	},
	{
		files: ['**/*.svelte', '**/*.svelte.ts'],
		languageOptions: { parserOptions: { parser: ts.parser, svelteConfig } },
	},
);
