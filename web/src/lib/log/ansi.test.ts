// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { runs } from './ansi';

const text = (line: string) =>
	runs(line)
		.map((run) => run.text)
		.join('');

describe('colours', () => {
	it('leave a plain line in one piece', () => {
		expect(runs('hello')).toEqual([{ text: 'hello', class: '', style: '' }]);
	});

	it('become class names, until they are reset', () => {
		expect(runs('a \x1b[1;31mred\x1b[0m b')).toEqual([
			{ text: 'a ', class: '', style: '' },
			{ text: 'red', class: 'ansi-bold ansi-text-red', style: '' },
			{ text: ' b', class: '', style: '' },
		]);
	});

	it('end one by one', () => {
		const [both, bold, none] = runs('\x1b[1;92mx\x1b[39my\x1b[22mz').map((run) => run.class);
		expect([both, bold, none]).toEqual(['ansi-bold ansi-text-green', 'ansi-bold', '']);
	});

	it('of 256 and of 16 million become numbers in a style', () => {
		expect(runs('\x1b[38;5;196mx')[0]?.style).toBe('--ansi-text: rgb(255 0 0)');
		expect(runs('\x1b[48;2;1;2;3mx')[0]?.style).toBe('--ansi-background: rgb(1 2 3)');
		expect(runs('\x1b[38;5;250mx')[0]?.style).toBe('--ansi-text: rgb(188 188 188)');
		expect(runs('\x1b[38;5;9mx')[0]?.class).toBe('ansi-text-red');
	});

	it('out of range are brought into it', () => {
		expect(runs('\x1b[38;2;999;0;99999999mx')[0]?.style).toBe('--ansi-text: rgb(255 0 255)');
		expect(runs('\x1b[38;2mx')[0]?.style).toBe('--ansi-text: rgb(0 0 0)');
		expect(text('\x1b[38mx\x1b[999my')).toBe('xy');
	});

	it('hide nothing: concealed text stays visible', () => {
		expect(runs('\x1b[8msecret move')).toEqual([{ text: 'secret move', class: '', style: '' }]);
	});

	it('never make HTML: a tag is text', () => {
		expect(text('\x1b[31m<img src=x onerror=alert(1)>')).toBe('<img src=x onerror=alert(1)>');
	});
});
