// @vitest-environment node
import { expect, it } from 'vitest';
import { levelOf } from './level';

it.each([
	['ERROR: cannot open file', 'error'],
	['{"level":"error","msg":"x"}', 'error'],
	['level=fatal msg=bye', 'error'],
	["thread 'main' panicked at src/main.rs:3", 'error'],
	['java.lang.NullPointerException: x', 'error'],
	['TypeError: undefined is not a function', 'error'],
	['Traceback (most recent call last):', 'error'],
	['[warn] deprecated', 'warn'],
	['WARNING: careful', 'warn'],
	['done with 0 errors', 'info'],
	['no errors, no warnings', 'info'],
	['error: null', 'info'],
	['GET /terror/errorless 200', 'info'],
] as const)('"%s" is %s by its words', (text, level) => {
	expect(levelOf(text, 'stdout')).toBe(level);
});

it('stderr alone is no error: many programs write all their log there', () => {
	expect(levelOf('listening on :80', 'stderr')).toBe('info');
	expect(levelOf('connection refused', 'stderr')).toBe('warn');
});
