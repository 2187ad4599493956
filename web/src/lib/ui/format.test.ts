import { describe, expect, it } from 'vitest';
import { ahead, bytes, count, duration, relative, shortDigest, shortImage } from './format';

describe('format', () => {
	it('writes bytes in the unit a person would choose', () => {
		expect(bytes(0)).toBe('0 B');
		expect(bytes(1_536)).toBe('1.5 KiB');
		expect(bytes(734_003_200)).toBe('700 MiB');
		expect(bytes(5 * 1024 ** 5)).toBe('5120 TiB');
	});

	it('writes durations in at most two units', () => {
		expect(duration(840)).toBe('840 ms');
		expect(duration(4_230)).toBe('4.2 s');
		expect(duration(59_999)).toBe('59 s');
		expect(duration(192_000)).toBe('3 min 12 s');
		expect(duration(180_000)).toBe('3 min');
		expect(duration(7_500_000)).toBe('2 h 5 min');
		expect(duration(190_000_000)).toBe('2 d 4 h');
		expect(duration(-5)).toBe('0 ms');
	});

	it('says how long ago, and how soon', () => {
		const now = new Date('2026-03-27T12:00:00Z');
		const at = (s: number) => new Date(now.getTime() + s * 1000);
		expect(relative(at(-1), now)).toBe('now');
		expect(relative(at(-12), now)).toBe('12 s ago');
		expect(relative(at(-200), now)).toBe('3 min ago');
		expect(ahead(at(7_200), now)).toBe('in 2 h');
		expect(ahead(at(1), now)).toBe('now');
	});

	it('says of what a server whose clock is ahead tells that it happens now', () => {
		const now = new Date('2026-03-27T12:00:00Z');
		expect(relative(new Date('2026-03-27T12:05:00Z'), now)).toBe('now');
	});

	it('shortens digests and images as Docker does', () => {
		const digest = 'sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1';
		expect(shortDigest(digest)).toBe('4bcff63911fc');
		expect(shortImage('registry.example:5000/team/shop:1.4')).toBe('shop:1.4');
		expect(shortImage(`busybox@${digest}`)).toBe('busybox@4bcff63911fc');
		expect(shortImage(digest)).toBe('4bcff63911fc');
	});

	it('counts in words', () => {
		expect(count(1, 'instance')).toBe('1 instance');
		expect(count(1_204, 'delivery', 'deliveries')).toBe('1,204 deliveries');
	});
});
