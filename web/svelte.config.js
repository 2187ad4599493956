import adapter from '@sveltejs/adapter-static';
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

/** @type {import('@sveltejs/kit').Config} */
export default {
	preprocess: vitePreprocess(),
	compilerOptions: { runes: true },
	kit: {
		// One page for every path; brotli and gzip lie beside each file for the server to embed.
		adapter: adapter({ fallback: 'index.html', precompress: true }),
		paths: { relative: false },
		// Nothing is left to load when a reader moves on: the server may have been replaced
		// since, and a browser beside Docker drops requests whenever a network appears.
		output: { bundleStrategy: 'single' },
		// A fixed name: the same sources give the same bytes.
		version: { name: 'tiny-forge' },
		csp: {
			mode: 'hash',
			directives: {
				'default-src': ['self'],
				'script-src': ['self'],
				// The virtual list positions its rows with inline styles.
				'style-src': ['self', 'unsafe-inline'],
				'img-src': ['self', 'data:'],
				'font-src': ['self'],
				'connect-src': ['self'],
				'object-src': ['none'],
				'base-uri': ['self'],
				'form-action': ['self'],
			},
		},
	},
};
