/**
 * What is looked at among the addresses: from the choices on the page to the
 * questions, from the answers to columns of the graph, countries of the map and
 * lines of a file. Pure; the state is the page's, and in no address.
 */
import {
  ORDERS,
  type AddressAnswer,
  type AddressQuestion,
  type AddressRow,
  type By,
  type Only,
  type Order,
  type Purpose,
} from '../../api/security';
import type { Row } from '../../api/types';
import { addDays, daysBetween } from '../../model/calendar';
import { dateRange, daysAt, type Days, type Now, type Period } from '../../model/period';
import type { Series } from '../../model/series';

/** What a row of the table can be of, from the finest. */
export const KINDS = ['address', 'network', 'asn', 'country'] as const;
export type Kind = (typeof KINDS)[number];

/** Rows at first; asked for again, so many more. */
export const ROWS = 100;
/** The most that one question answers. */
export const MAX_ROWS = 1000;
/** So many characters of a token are shown: eight digits, of which two tokens in a list hardly share all. */
const TOKEN_SHOWN = 11;
/** More days than this are told by day, not by hour. */
const MAX_DAYS_BY_HOUR = 2;

/** What tells that somebody has trouble. */
export const TROUBLES = ['refused', 'limited', 'errors'] as const;
export type Trouble = (typeof TROUBLES)[number];

export interface Look {
  readonly period: Period;
  readonly by: Kind;
  readonly order: Order;
  readonly only: Only;
  readonly rows: number;
}

/** On which site, what for and when a look is asked about. */
export interface Asking {
  readonly site: string;
  readonly purpose: Purpose;
  readonly now: Now;
}

/** A week back: what is stored of an address has its term. */
export const FIRST_LOOK: Look = { period: '7d', by: 'address', order: 'hits', only: {}, rows: ROWS };

/** Whether the page shows who has trouble: the most refused first. */
export function isTrouble(look: Look): look is Look & { readonly order: Trouble } {
  return TROUBLES.some((trouble) => trouble === look.order);
}

/** The numbers that are shown: errors only where the site collects them, which a site does that has some. */
export function numbersOf(answer: AddressAnswer, look: Look): readonly Order[] {
  return ORDERS.filter((order) => order !== 'errors' || look.order === 'errors' || answer.totals.errors > 0);
}

/** What a row of the table narrows to; null where it has no name to be asked by. */
export function onlyOf(by: Kind, row: AddressRow): Only | null {
  switch (by) {
    case 'address':
      return row.address == null ? null : { address: row.address };
    case 'network':
      return row.network == null ? null : { network: row.network };
    case 'asn':
      return row.asn === undefined ? null : { asn: row.asn };
    case 'country':
      return row.country === undefined ? null : { country: row.country };
  }
}

/** Looks at this alone, by what is one step finer. An address and its network are not asked for together. */
export function narrowed(look: Look, only: Only): Look {
  const before = 'address' in only || 'network' in only ? without(without(look.only, 'address'), 'network') : look.only;
  return { ...look, only: { ...before, ...only }, by: finer(look.by), rows: ROWS };
}

/** Looks at all of them again. */
export function widened(look: Look, kind: Kind): Look {
  return { ...look, only: without(look.only, kind), by: kind, rows: ROWS };
}

function without(only: Only, kind: Kind): Only {
  return Object.fromEntries(Object.entries(only).filter(([name]) => name !== kind));
}

function finer(by: Kind): Kind {
  if (by === 'country' || by === 'asn') return 'network';
  return 'address';
}

/** The kinds to which it is narrowed, with their values. */
export function narrowings({ only }: Look): readonly (readonly [Kind, string | number])[] {
  return [...KINDS].reverse().flatMap((kind) => {
    const value = only[kind];
    return value === undefined ? [] : [[kind, value] as const];
  });
}

function about({ site, purpose, now }: Asking, look: Look): Pick<AddressQuestion, 'site_id' | 'purpose' | 'date_range'> & Only {
  return { site_id: site, purpose, date_range: dateRange(daysAt(look.period, now)), ...look.only };
}

export function tableQuestion(asking: Asking, look: Look, limit = look.rows): AddressQuestion {
  return { ...about(asking, look), by: look.by, order_by: look.order, limit };
}

export function timeQuestion(asking: Asking, look: Look): AddressQuestion {
  return { ...about(asking, look), by: byTime(daysAt(look.period, asking.now)), limit: MAX_ROWS };
}

/** The map shows every country, also those beside the one that is looked at. */
export function mapQuestion(asking: Asking, look: Look): AddressQuestion {
  const { only } = look;
  return {
    ...about(asking, { ...look, only: without(only, 'country') }),
    by: 'country',
    order_by: look.order,
    limit: MAX_ROWS,
  };
}

export function byTime(days: Days | null): By & `time:${string}` {
  return days !== null && daysBetween(days.from, days.to) <= MAX_DAYS_BY_HOUR ? 'time:hour' : 'time:day';
}

/** The columns of the graph: every hour or day of the range, also those without a row. */
export function seriesOf(answer: AddressAnswer, by: By, order: Order, now: Now): Series {
  const found = new Map(answer.results.map((row) => [row.time ?? '', row[order]]));
  const [from, to] = answer.date_range.map((instant) => instant.slice(0, 10)) as [string, string];
  const days = Array.from({ length: daysBetween(from, to) }, (_, at) => addDays(from, at));
  const hours = Array.from({ length: 24 }, (_, hour) => `${String(hour).padStart(2, '0')}:00:00`);
  const labels = by === 'time:hour' ? days.flatMap((day) => hours.map((hour) => `${day} ${hour}`)) : days;
  const current = by === 'time:hour' ? `${now.today} ${now.time.slice(0, 2)}:00:00` : now.today;
  return {
    labels,
    values: labels.map((label) => (label > current ? null : (found.get(label) ?? 0))),
    current: labels.indexOf(current),
  };
}

/** Countries as the map takes them. */
export function countryRows(answer: AddressAnswer, order: Order): readonly Row[] {
  return answer.results.map((row) => ({ dimensions: [row.country ?? ''], metrics: [row[order]] }));
}

/** `a1-4f3c2b1a…`: enough to tell one from another in a list. The end of a token is its month's. */
export function shortened(token: string): string {
  return token.length <= TOKEN_SHOWN ? token : `${token.slice(0, TOKEN_SHOWN)}…`;
}

/** The largest first, at most so many. */
export function largest(counts: Readonly<Record<string, number>>, most: number): readonly (readonly [string, number])[] {
  return Object.entries(counts)
    .sort(([a, many], [b, more]) => more - many || a.localeCompare(b))
    .slice(0, most);
}

/** The table as lines of a file: what each row is of, its place, its numbers. */
export function linesOf(rows: readonly AddressRow[], by: Kind): readonly (readonly (string | number)[])[] {
  const names: Readonly<Record<Kind, readonly (keyof AddressRow)[]>> = {
    address: ['address', 'network', 'key_destroyed', 'asn', 'asn_name', 'country'],
    network: ['network', 'addresses', 'key_destroyed', 'asn', 'asn_name', 'country'],
    asn: ['asn', 'asn_name'],
    country: ['country'],
  };
  const columns = [...names[by], 'hits', 'visitors', 'refused', 'limited', 'marked', 'errors', 'first', 'last'] as const;
  const cell = (value: unknown): string | number =>
    typeof value === 'number' ? value : value === undefined || value === null ? '' : String(value);
  return [columns, ...rows.map((row) => columns.map((column) => cell(row[column])))];
}
