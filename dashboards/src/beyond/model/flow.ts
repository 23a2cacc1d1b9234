/**
 * The flow around one page: where its visits came from on the left, where they
 * went on the right, as rows and ribbons. Pure geometry, in CSS pixels.
 */
import type { JourneysAnswer } from '../../api/kept';

/** What all visits through the page are wide together. */
const FULL = 220;
/** A row is at least so high, for its text and for a finger. */
const LEAST_ROW = 32;
const GAP = 6;
/** Rows on a side; further ones become one. */
export const MAX_ROWS = 7;

export type Kind = 'page' | 'entry' | 'exit' | 'rest';

export interface Row {
  readonly kind: Kind;
  /** Empty unless of kind `page`. */
  readonly page: string;
  readonly visits: number;
}

export interface Placed extends Row {
  readonly top: number;
  readonly height: number;
  /** Of its ribbon: at the row, at the page, and how wide. */
  readonly at: number;
  readonly joins: number;
  readonly wide: number;
}

export interface Flow {
  readonly height: number;
  readonly before: readonly Placed[];
  readonly after: readonly Placed[];
  /** Where the page stands. */
  readonly top: number;
  readonly wide: number;
}

export function flowOf(page: string, answer: JourneysAnswer): Flow {
  const entered = answer.meta.entries?.find((each) => each.page === page)?.visits ?? 0;
  const left = answer.meta.exits?.find((each) => each.page === page)?.visits ?? 0;
  const before = rowsOf(
    (answer.meta.before ?? []).map((step) => [step.from, step.visits ?? 0] as const),
    { kind: 'entry', page: '', visits: entered },
  );
  const after = rowsOf(
    answer.results.filter((step) => step.from === page).map((step) => [step.to, step.visits ?? 0] as const),
    { kind: 'exit', page: '', visits: left },
  );
  const most = Math.max(1, total(before), total(after));
  const height = Math.max(FULL, stacked(before, most), stacked(after, most));
  const top = (height - FULL) / 2;
  return { height, top, wide: FULL, before: place(before, most, height), after: place(after, most, height) };
}

/** A ribbon between a row and the page as an SVG path, in a drawing 100 wide. */
export function ribbon({ at, joins, wide }: Placed, side: 'before' | 'after'): string {
  const [from, to] = side === 'before' ? [at, joins] : [joins, at];
  return `M0 ${from}C50 ${from} 50 ${to} 100 ${to}V${to + wide}C50 ${to + wide} 50 ${from + wide} 0 ${from + wide}Z`;
}

function rowsOf(pages: readonly (readonly [page: string, visits: number])[], end: Row): readonly Row[] {
  const sorted = [...pages].sort((a, b) => b[1] - a[1]);
  const shown: Row[] = sorted.slice(0, MAX_ROWS).map(([page, visits]) => ({ kind: 'page', page, visits }));
  const rest = sorted.slice(MAX_ROWS).reduce((sum, [, visits]) => sum + visits, 0);
  if (rest > 0) shown.push({ kind: 'rest', page: '', visits: rest });
  if (end.visits > 0) shown.push(end);
  return shown;
}

function place(rows: readonly Row[], most: number, height: number): readonly Placed[] {
  let top = (height - stacked(rows, most)) / 2;
  let joins = (height - wideOf(total(rows), most)) / 2;
  return rows.map((row) => {
    const wide = wideOf(row.visits, most);
    const high = Math.max(LEAST_ROW, wide);
    const placed = { ...row, top, height: high, at: top + (high - wide) / 2, joins, wide };
    top += high + GAP;
    joins += wide;
    return placed;
  });
}

function stacked(rows: readonly Row[], most: number): number {
  return rows.reduce((sum, row) => sum + Math.max(LEAST_ROW, wideOf(row.visits, most)) + GAP, -GAP);
}

function wideOf(visits: number, most: number): number {
  return (visits / most) * FULL;
}

function total(rows: readonly Row[]): number {
  return rows.reduce((sum, row) => sum + row.visits, 0);
}
