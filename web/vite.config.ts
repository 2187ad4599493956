import { sveltekit } from '@sveltejs/kit/vite';
import tailwindcss from '@tailwindcss/vite';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

const server = process.env.TINY_FORGE_SERVER ?? 'http://127.0.0.1:8080';

export default defineConfig({
	plugins: [tailwindcss(), sveltekit(), svelteTesting()],
	// Fonts stay files: a data: URL would need a wider font-src.
	build: { assetsInlineLimit: 0 },
	server: { proxy: { '/api': { target: server } } },
	test: {
		environment: 'jsdom',
		include: ['src/**/*.test.ts'],
		setupFiles: ['./src/test-setup.ts'],
		// Typing into a form takes seconds on a machine that also compiles.
		testTimeout: 20_000,
	},
});
