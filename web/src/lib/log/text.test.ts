// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { clean, lastFrame, withoutColour } from './text';

const shown = (raw: string) => withoutColour(clean(lastFrame(raw)));

describe('progress that draws a line over itself', () => {
	it('is shown as its last frame', () => {
		expect(shown('10%\r50%\r100% done')).toBe('100% done');
	});

	it('is not lost where the line ends with a carriage return', () => {
		expect(shown('fetching\r')).toBe('fetching');
		expect(shown('a\rb\r\r')).toBe('b');
	});

	it('skips frames that only erase or colour', () => {
		expect(shown('99%\r\x1b[2K\r\x1b[0m')).toBe('99%');
	});
});

describe('hostile input', () => {
	it('keeps colours and drops every other escape sequence', () => {
		expect(clean('\x1b[2J\x1b[1;1H\x1b[31mred\x1b[0m\x1b[?25l')).toBe('\x1b[31mred\x1b[0m');
		expect(clean('\x1bPq#0;2\x1b\\sixel \x1b(Bcharset \x1bcreset')).toBe('sixel charset reset');
	});

	it('keeps the text of a hyperlink and drops where it leads', () => {
		const link = '\x1b]8;;javascript:alert(1)\x1b\\click\x1b]8;;\x07 here';
		expect(clean(link)).toBe('click here');
	});

	it('shows what follows a sequence that never ends', () => {
		expect(clean('\x1b]0;title and the rest')).toBe('0;title and the rest');
		expect(clean('\x1b[31')).toBe('31');
	});

	it('drops control characters, so that no sequence comes together from its parts', () => {
		expect(clean('a\x00b\x08c\x9b31md\x7f')).toBe('abc31md');
		expect(clean('\x1b\x00[31mred')).toBe('[31mred');
	});

	it('drops what would reorder or hide text', () => {
		expect(clean('user\u202e\u2066txt.exe\u2069\u200b\ufeff')).toBe('usertxt.exe');
	});

	it('keeps tabs, emoji with joiners, and every script', () => {
		const text = 'a\tb 👩‍🚀 שלום Ünïcödé 漢字';
		expect(clean(text)).toBe(text);
	});

	it('takes time that grows with the length, not its square', () => {
		const began = performance.now();
		for (const part of ['\x1b]', '\x1b[', '\x1b', '\x1bP;', '\r\x1b[0'])
			clean(part.repeat(100_000));
		expect(performance.now() - began).toBeLessThan(2_000);
	});
});
