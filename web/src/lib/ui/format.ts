const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `1536` → `1.5 KiB`. */
export function bytes(count: number): string {
	let value = count;
	let unit = 0;
	while (value >= 1024 && unit < UNITS.length - 1) {
		value /= 1024;
		unit += 1;
	}
	const digits = unit === 0 || value >= 100 ? 0 : 1;
	return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** `840` → `840 ms`, `4200` → `4.2 s`, `192000` → `3 min 12 s`, `7500000` → `2 h 5 min`. */
export function duration(ms: number): string {
	if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
	if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
	const s = Math.floor(ms / 1_000);
	if (s < 60) return `${s} s`;
	if (s < 3_600) return two(Math.floor(s / 60), 'min', s % 60, 's');
	if (s < 86_400) return two(Math.floor(s / 3_600), 'h', Math.floor((s % 3_600) / 60), 'min');
	return two(Math.floor(s / 86_400), 'd', Math.floor((s % 86_400) / 3_600), 'h');
}

function two(major: number, unit: string, minor: number, minorUnit: string): string {
	return minor === 0 ? `${major} ${unit}` : `${major} ${unit} ${minor} ${minorUnit}`;
}

/** From less than a microsecond to many milliseconds: `0.6` → `0.6 µs`, `4200` → `4.2 ms`. */
export function micros(us: number): string {
	const [value, unit] = us < 1_000 ? [us, 'µs'] : [us / 1_000, 'ms'];
	return `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
}

/** How long ago, in the one unit that matters: `now`, `12 s ago`, `3 min ago`. What has happened
 *  is never still to come, though the clock of the server may be ahead. */
export function relative(at: Date, now: Date): string {
	const amount = worthSaying(now.getTime() - at.getTime());
	return amount ? `${amount} ago` : 'now';
}

/** How soon: `now`, `in 2 h`. */
export function ahead(at: Date, now: Date): string {
	const amount = worthSaying(at.getTime() - now.getTime());
	return amount ? `in ${amount}` : 'now';
}

function worthSaying(ms: number): string | undefined {
	const s = Math.floor(ms / 1_000);
	return s < 2 ? undefined : largestUnit(s);
}

function largestUnit(s: number): string {
	if (s < 60) return `${s} s`;
	if (s < 3_600) return `${Math.floor(s / 60)} min`;
	if (s < 86_400) return `${Math.floor(s / 3_600)} h`;
	return `${Math.floor(s / 86_400)} d`;
}

const ABSOLUTE = new Intl.DateTimeFormat(undefined, {
	dateStyle: 'medium',
	timeStyle: 'medium',
});
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const CLOCK = new Intl.DateTimeFormat(undefined, {
	hour: '2-digit',
	minute: '2-digit',
	second: '2-digit',
	hourCycle: 'h23',
});

export function absolute(at: Date): string {
	return ABSOLUTE.format(at);
}

/** `14:02:11`. */
export function clock(at: Date): string {
	return CLOCK.format(at);
}

/** `14:02:11` today, `24 Nov 14:02` on other days. */
export function moment(at: Date, now: Date): string {
	if (at.toDateString() === now.toDateString()) return clock(at);
	return `${DAY.format(at)} ${clock(at).slice(0, 5)}`;
}

/** `sha256:4bcff63911fcb445…` → `4bcff63911fc`, as Docker shortens it. */
export function shortDigest(digest: string): string {
	return digest.replace(/^sha256:/, '').slice(0, 12);
}

/** `registry.example/team/shop:1.4` → `shop:1.4`; what a digest pins is shortened. */
export function shortImage(image: string): string {
	if (image.startsWith('sha256:')) return shortDigest(image);
	const [name = image, digest] = image.split('@');
	const last = name.slice(name.lastIndexOf('/') + 1);
	return digest ? `${last}@${shortDigest(digest)}` : last;
}

/** `unexpected_exit` → `unexpected exit`. */
export function words(name: string): string {
	return name.replaceAll('_', ' ');
}

/** `1 instance`, `3 instances`. */
export function count(number: number, singular: string, plural = `${singular}s`): string {
	return `${number.toLocaleString('en')} ${number === 1 ? singular : plural}`;
}
