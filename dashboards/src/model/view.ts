/**
 * What is being looked at, and its form in the address: a link restores it.
 *
 * `?site=clinic&period=7d&compare=none&weekdays=1&metric=visits&by=hour&places=city&marked=1&f=is,visit:source,Yandex`;
 * what equals the default is left out. A value with a comma writes it `\,`.
 * What a person may not ask is taken out of a view by [`fitted`], so that a
 * link from somebody with another role shows their own numbers.
 */
import type { FilterClause, Interval, Operator } from '../api/types';
import type { Day } from './calendar';
import { GOAL } from './dimensions';
import { headlineOf, isHeadline, type MetricName } from './metrics';
import { isDimension, PANELS } from './panels';
import { DEFAULT_PERIOD, guardedPeriod, isCompare, isPeriod, type Compare, type Period } from './period';

/** More filters than this are not a question but an attack on the address. */
export const MAX_FILTERS = 12;

/** So many filters the guard of small counts answers; the period is one more. */
export const MAX_GUARDED_FILTERS = 3;

const OPERATORS: readonly string[] = ['is', 'is_not', 'contains', 'contains_not'] satisfies Operator[];
const INTERVALS: readonly string[] = ['hour', 'day', 'week', 'month'] satisfies Interval[];

export interface View {
  /** Empty until a site is chosen: the first one then. */
  readonly site: string;
  readonly period: Period;
  readonly compare: Compare;
  /** The compared days begin on the same day of the week. */
  readonly weekdays: boolean;
  readonly metric: MetricName;
  /** Null: what suits the period. */
  readonly interval: Interval | null;
  /** The chosen breakdown of each panel whose first one is not. */
  readonly tabs: Readonly<Record<string, string>>;
  readonly filters: readonly FilterClause[];
  /** Hits that are kept out of the numbers are in them: for the roles that may ask so. */
  readonly marked: boolean;
}

export const DEFAULT_VIEW: View = {
  site: '',
  period: DEFAULT_PERIOD,
  compare: 'previous',
  weekdays: false,
  metric: 'visitors',
  interval: null,
  tabs: {},
  filters: [],
  marked: false,
};

/** Reads an address; whatever is not understood is the default. */
export function readView(search: string): View {
  const params = new URLSearchParams(search);
  const period = params.get('period') ?? '';
  const compare = params.get('compare') ?? '';
  const metric = params.get('metric') as MetricName;
  const interval = params.get('by') ?? '';
  const tabs: Record<string, string> = {};
  for (const panel of PANELS) {
    const tab = params.get(panel.id);
    if (tab !== null && panel.breakdowns.some((each) => each.id === tab)) tabs[panel.id] = tab;
  }
  return {
    site: params.get('site') ?? '',
    period: isPeriod(period) ? period : DEFAULT_PERIOD,
    compare: isCompare(compare) ? compare : 'previous',
    weekdays: params.get('weekdays') === '1',
    metric: isHeadline(metric) ? metric : 'visitors',
    interval: INTERVALS.includes(interval) ? (interval as Interval) : null,
    tabs,
    filters: params
      .getAll('f')
      .slice(0, MAX_FILTERS)
      .map(readFilter)
      .filter((filter) => filter !== null),
    marked: params.get('marked') === '1',
  };
}

/** The address of a view, from `?` on; empty for the default. */
export function writeView(view: View): string {
  const params: [string, string][] = [];
  if (view.site !== '') params.push(['site', view.site]);
  if (view.period !== DEFAULT_PERIOD) params.push(['period', view.period]);
  if (view.compare !== 'previous') params.push(['compare', view.compare]);
  if (view.weekdays) params.push(['weekdays', '1']);
  if (view.metric !== 'visitors') params.push(['metric', view.metric]);
  if (view.interval !== null) params.push(['by', view.interval]);
  for (const panel of PANELS) {
    const tab = view.tabs[panel.id];
    if (tab !== undefined && tab !== panel.breakdowns[0]?.id) params.push([panel.id, tab]);
  }
  if (view.marked) params.push(['marked', '1']);
  for (const filter of view.filters) params.push(['f', writeFilter(filter)]);
  // Slashes, colons and commas may stand in a query as they are, and are easier to read so.
  const readable = (text: string): string => encodeURIComponent(text).replace(/%(2F|3A|2C)/g, decodeURIComponent);
  return params.length === 0 ? '' : `?${params.map(([key, value]) => `${key}=${readable(value)}`).join('&')}`;
}

export interface Rights {
  /** May have marked hits in the numbers. */
  readonly marked: boolean;
  /** The guard of small counts holds. */
  readonly guarded: boolean;
}

/** The view as far as a person may ask it. */
export function fitted(view: View, { marked, guarded }: Rights, today: Day): View {
  const fit = { ...view, marked: view.marked && marked };
  if (guarded) {
    fit.period = guardedPeriod(view.period, today);
    fit.weekdays = false;
    if (view.compare.includes('..')) fit.compare = 'previous';
    fit.filters = view.filters
      .filter(([operator]) => operator === 'is' || operator === 'is_not')
      .slice(0, MAX_GUARDED_FILTERS);
  }
  if (!headlineOf(isOfGoal(fit)).includes(fit.metric)) fit.metric = 'visitors';
  return fit;
}

/** Whether the numbers are of those who reached a goal. */
export function isOfGoal(view: View): boolean {
  return view.filters.some(([operator, dimension]) => operator === 'is' && dimension === GOAL);
}

export function maxFilters(guarded: boolean): number {
  return guarded ? MAX_GUARDED_FILTERS : MAX_FILTERS;
}

/** Puts a filter at a place, or after the others. */
export function withFilter(view: View, filter: FilterClause, index: number | null): View {
  if (index !== null && index < view.filters.length) return { ...view, filters: view.filters.with(index, filter) };
  return view.filters.length >= MAX_FILTERS ? view : { ...view, filters: [...view.filters, filter] };
}

/** Adds a value to the filters, or takes it away if it is the only one there. */
export function withToggled(view: View, dimension: string, value: string): View {
  const at = view.filters.findIndex((filter) => filter[0] === 'is' && filter[1] === dimension);
  const known = view.filters[at];
  if (!known) {
    if (view.filters.length >= MAX_FILTERS) return view;
    return { ...view, filters: [...view.filters, ['is', dimension, [value]]] };
  }
  if (known[2].includes(value)) return without(view, at);
  return { ...view, filters: view.filters.with(at, ['is', dimension, [value]]) };
}

export function without(view: View, index: number): View {
  return { ...view, filters: view.filters.filter((_, at) => at !== index) };
}

export function isFiltered(view: View, dimension: string, value: string): boolean {
  return view.filters.some((filter) => filter[0] === 'is' && filter[1] === dimension && filter[2].includes(value));
}

/** Whether some value of a dimension is chosen. */
export function isNarrowed(view: View, dimension: string): boolean {
  return view.filters.some((filter) => filter[0] === 'is' && filter[1] === dimension);
}

function writeFilter([operator, dimension, values]: FilterClause): string {
  return [operator, dimension, ...values.map((value) => value.replace(/[\\,]/g, '\\$&'))].join(',');
}

function readFilter(text: string): FilterClause | null {
  const [operator = '', dimension = '', ...values] = splitEscaped(text);
  if (!OPERATORS.includes(operator) || !isDimension(dimension) || values.length === 0) return null;
  return [operator as Operator, dimension, values];
}

function splitEscaped(text: string): string[] {
  const parts = [''];
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === ',') parts.push('');
    else parts[parts.length - 1] += char === '\\' ? text.charAt((at += 1)) : char;
  }
  return parts;
}
