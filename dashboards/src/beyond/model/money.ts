/** Money as the API answers it: a number, or an amount with its currency. */

export interface Money {
  readonly value: number;
  /** Three letters; empty where the answer names none. */
  readonly currency: string;
}

export function money(answer: unknown): Money | null {
  if (typeof answer === 'number') return { value: answer, currency: '' };
  if (typeof answer !== 'object' || answer === null) return null;
  const { value, currency } = answer as { readonly value?: unknown; readonly currency?: unknown };
  const amount = typeof value === 'string' ? Number(value) : value;
  if (typeof amount !== 'number' || !Number.isFinite(amount)) return null;
  return { value: amount, currency: typeof currency === 'string' ? currency : '' };
}
