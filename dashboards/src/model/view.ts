/**
 * What is being looked at, and its form in the address: a link restores it.
 *
 * `?site=clinic&period=7d&compare=none&metric=visits&by=hour&places=city&marked=1&f=is,visit:source,Yandex`;
 * what equals the default is left out. A value with a comma writes it `\,`.
 */
import type { FilterClause, Interval, Operator } from '../api/types';
import { HEADLINE, type MetricName } from './metrics';
import { DIMENSIONS, PANELS } from './panels';
import { DEFAULT_PERIOD, isPeriod, type Compare, type Period } from './period';

/** More filters than this are not a question but an attack on the address. */
export const MAX_FILTERS = 12;

const OPERATORS: readonly string[] = ['is', 'is_not', 'contains', 'contains_not'] satisfies Operator[];
const INTERVALS: readonly string[] = ['hour', 'day', 'week', 'month'] satisfies Interval[];

export interface View {
  /** Empty until a site is chosen: the first one then. */
  readonly site: string;
  readonly period: Period;
  readonly compare: Compare;
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
  const compare = params.get('compare');
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
    compare: compare === 'year' || compare === 'none' ? compare : 'previous',
    metric: HEADLINE.includes(metric) ? metric : 'visitors',
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

/** Turns `is` into `is not` and back. */
export function withNegated(view: View, index: number): View {
  const filter = view.filters[index];
  if (!filter) return view;
  const opposite: Record<Operator, Operator> = {
    is: 'is_not',
    is_not: 'is',
    contains: 'contains_not',
    contains_not: 'contains',
  };
  return { ...view, filters: view.filters.with(index, [opposite[filter[0]], filter[1], filter[2]]) };
}

export function isFiltered(view: View, dimension: string, value: string): boolean {
  return view.filters.some((filter) => filter[0] === 'is' && filter[1] === dimension && filter[2].includes(value));
}

function writeFilter([operator, dimension, values]: FilterClause): string {
  return [operator, dimension, ...values.map((value) => value.replace(/[\\,]/g, '\\$&'))].join(',');
}

function readFilter(text: string): FilterClause | null {
  const [operator = '', dimension = '', ...values] = splitEscaped(text);
  if (!OPERATORS.includes(operator) || !DIMENSIONS.has(dimension) || values.length === 0) return null;
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
