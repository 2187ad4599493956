/** Reads numbers, and notes the fields that hold none. */
export class Numbers {
	errors: Record<string, string> = {};

	required(pointer: string, typed: string): number {
		const number = typed.trim() === '' ? NaN : Number(typed);
		if (!Number.isFinite(number) || number < 0) this.errors[pointer] = 'expected a number';
		return number;
	}
}

/** A number as a field shows it. */
export function text(number: number | null | undefined): string {
	return number == null ? '' : String(number);
}
