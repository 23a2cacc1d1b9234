/**
 * A view becomes questions to the stats API. Pure: the same view and the same
 * "now" make the same questions.
 */
import type { Interval, Query } from '../api/types';
import { GOAL, SEGMENT } from './dimensions';
import { headlineOf, type MetricName } from './metrics';
import { isOfVisits, MAP_ROWS, type Breakdown, type Panel } from './panels';
import { comparedDays, comparedRange, dateRange, daysAt, intervalsOf, type Days, type Now } from './period';
import { isOfGoal, type View } from './view';

/** Rows that one page of the full list shows. */
export const LIST_ROWS = 100;

/** Rows that a file of one breakdown has at most: what the API gives at once. */
const FILE_ROWS = 10_000;

/** Values that the editor of filters offers. */
const SUGGESTED = 200;

/** The headline numbers, with those of the compared period. */
export function totalsQuery(view: View, now: Now): Query {
  return {
    ...base(view),
    date_range: dateRange(daysAt(view.period, now)),
    metrics: headlineOf(isOfGoal(view)),
    ...including(view, comparison(view, now)),
  };
}

/** The days of the view that the numbers are compared with. */
export function comparedDaysOf(view: View, now: Now): Days | null {
  return comparedDays(view.period, daysAt(view.period, now), view.compare, view.weekdays);
}

export function intervalOf(view: View, now: Now): Interval {
  const suited = intervalsOf(daysAt(view.period, now), now.guarded);
  return view.interval !== null && suited.includes(view.interval) ? view.interval : (suited[0] ?? 'day');
}

export function seriesQuery(view: View, now: Now): Query {
  return {
    ...base(view),
    ...series(view, now),
    date_range: dateRange(daysAt(view.period, now)),
  };
}

/** A question of its own and of the whole compared period, so that its line reaches as far as the graph. */
export function comparedSeriesQuery(view: View, now: Now): Query | null {
  const compared = comparedDaysOf(view, now);
  if (!compared) return null;
  return { ...base(view), ...series(view, now), date_range: dateRange(compared) };
}

/** One row more than shown tells whether there are more. */
export function panelQuery(view: View, now: Now, panel: Panel, breakdown: Breakdown): Query {
  const limit = breakdown.map ? MAP_ROWS : panel.rows + 1 + (breakdown.hidden?.length ?? 0);
  return breakdownQuery(view, now, breakdown, metricsOf(view, breakdown), { limit, offset: 0 });
}

/** The numbers of a panel's rows: where a goal is chosen, how many of the row's people reached it. */
export function metricsOf(view: View, breakdown: Breakdown): readonly MetricName[] {
  return isOfGoal(view) && isOfVisits(breakdown) && breakdown.metrics[0] === 'visitors'
    ? ['visitors', 'group_conversion_rate']
    : breakdown.metrics;
}

/** The numbers of the full list. */
export function moreOf(view: View, breakdown: Breakdown): readonly MetricName[] {
  const shown = metricsOf(view, breakdown);
  return shown === breakdown.metrics ? (breakdown.more ?? breakdown.metrics) : shown;
}

export function listQuery(view: View, now: Now, breakdown: Breakdown, page: number, search: string): Query {
  const pagination = { limit: LIST_ROWS + 1, offset: page * LIST_ROWS };
  const query = breakdownQuery(view, now, breakdown, moreOf(view, breakdown), pagination);
  return {
    ...query,
    ...including(view, comparison(view, now)),
    ...(search !== '' && {
      filters: [...(query.filters ?? []), ['contains', breakdown.dimension, [search], { case_sensitive: false }]],
    }),
  };
}

/** All rows of a breakdown, for a file. */
export function fileQuery(view: View, now: Now, breakdown: Breakdown): Query {
  return breakdownQuery(view, now, breakdown, moreOf(view, breakdown), { limit: FILE_ROWS, offset: 0 });
}

/** The commonest values of a dimension under the other filters; with `typed` those that contain it. */
export function suggestionsQuery(view: View, now: Now, dimension: string, typed: string, but: number | null): Query {
  const others = view.filters.filter((_, index) => index !== but);
  return {
    site_id: view.site,
    ...including(view, {}),
    date_range: dateRange(daysAt(view.period, now)),
    metrics: [dimension === 'event:ad' ? 'ad_views' : 'visitors'],
    dimensions: [dimension],
    filters: typed === '' ? others : [...others, ['contains', dimension, [typed], { case_sensitive: false }]],
    pagination: { limit: SUGGESTED, offset: 0 },
  };
}

/** Whether the values of a dimension come from the settings of the site, not from its hits. */
export function isKept(dimension: string): boolean {
  return dimension === GOAL || dimension === SEGMENT;
}

/** Whether the site has ever seen anything. */
export function everQuery(site: string): Query {
  return { site_id: site, metrics: ['visitors', 'pageviews', 'events'], date_range: 'all' };
}

function base(view: View): Pick<Query, 'site_id' | 'filters' | 'include'> {
  return {
    site_id: view.site,
    ...(view.filters.length > 0 && { filters: view.filters }),
    ...including(view, {}),
  };
}

type Include = NonNullable<Query['include']>;

/** What is asked for beside the numbers; absent when it is nothing. */
function including(view: View, more: Include): Pick<Query, 'include'> {
  const include = { ...(view.marked && { bots: true }), ...more };
  return Object.keys(include).length === 0 ? {} : { include };
}

function comparison(view: View, now: Now): Include {
  const compared = comparedDaysOf(view, now);
  if (!compared) return {};
  return { comparisons: { mode: 'custom', date_range: comparedRange(daysAt(view.period, now), compared, now) } };
}

function series(view: View, now: Now): Pick<Query, 'metrics' | 'dimensions' | 'include'> {
  return {
    metrics: [view.metric],
    dimensions: [`time:${intervalOf(view, now)}`],
    include: { ...base(view).include, time_labels: true },
  };
}

function breakdownQuery(
  view: View,
  now: Now,
  breakdown: Breakdown,
  metrics: readonly MetricName[],
  pagination: { limit: number; offset: number },
): Query {
  return {
    ...base(view),
    date_range: dateRange(daysAt(view.period, now)),
    metrics,
    dimensions: [breakdown.dimension],
    order_by: [
      [metrics[0] ?? 'visitors', 'desc'],
      [breakdown.dimension, 'asc'],
    ],
    pagination,
  };
}
