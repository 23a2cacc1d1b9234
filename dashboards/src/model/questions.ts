/**
 * A view becomes questions to the stats API. Pure: the same view and the same
 * "now" make the same questions.
 */
import type { Interval, Query } from '../api/types';
import type { MetricName } from './metrics';
import { HEADLINE } from './metrics';
import type { Breakdown, Panel } from './panels';
import { comparedDays, comparedRange, dateRange, daysOf, intervalsOf, type Now } from './period';
import type { View } from './view';

/** Rows that one page of the full list shows. */
export const LIST_ROWS = 100;

export function totalsQuery(view: View, now: Now): Query {
  return { ...base(view), date_range: dateRange(daysOf(view.period, now.today)), metrics: HEADLINE };
}

/** The same totals of the compared period; null when nothing is compared. */
export function comparedTotalsQuery(view: View, now: Now): Query | null {
  const days = daysOf(view.period, now.today);
  const compared = comparedDays(view.period, days, view.compare);
  if (!compared) return null;
  return { ...base(view), date_range: comparedRange(days, compared, now), metrics: HEADLINE };
}

export function intervalOf(view: View, now: Now): Interval {
  const suited = intervalsOf(daysOf(view.period, now.today));
  return view.interval !== null && suited.includes(view.interval) ? view.interval : (suited[0] ?? 'day');
}

export function seriesQuery(view: View, now: Now): Query {
  return {
    ...base(view),
    ...series(view, now),
    date_range: dateRange(daysOf(view.period, now.today)),
  };
}

/** The whole compared period, so that its line reaches as far as the graph. */
export function comparedSeriesQuery(view: View, now: Now): Query | null {
  const compared = comparedDays(view.period, daysOf(view.period, now.today), view.compare);
  if (!compared) return null;
  return { ...base(view), ...series(view, now), date_range: dateRange(compared) };
}

/** One row more than shown tells whether there are more. */
export function panelQuery(view: View, now: Now, panel: Panel, breakdown: Breakdown): Query {
  const limit = panel.rows + 1 + (breakdown.hidden?.length ?? 0);
  return breakdownQuery(view, now, breakdown, breakdown.metrics, { limit, offset: 0 });
}

export function listQuery(view: View, now: Now, breakdown: Breakdown, page: number, search: string): Query {
  const metrics = breakdown.more ?? breakdown.metrics;
  const query = breakdownQuery(view, now, breakdown, metrics, { limit: LIST_ROWS + 1, offset: page * LIST_ROWS });
  if (search === '') return query;
  return {
    ...query,
    filters: [...(query.filters ?? []), ['contains', breakdown.dimension, [search], { case_sensitive: false }]],
  };
}

/** Whether the site has ever seen anything. */
export function everQuery(site: string): Query {
  return { site_id: site, metrics: ['visitors', 'pageviews', 'events'], date_range: 'all' };
}

function base(view: View): Pick<Query, 'site_id' | 'filters' | 'include'> {
  return {
    site_id: view.site,
    ...(view.filters.length > 0 && { filters: view.filters }),
    ...(view.marked && { include: { bots: true } }),
  };
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
    date_range: dateRange(daysOf(view.period, now.today)),
    metrics,
    dimensions: [breakdown.dimension],
    order_by: [
      [metrics[0] ?? 'visitors', 'desc'],
      [breakdown.dimension, 'asc'],
    ],
    pagination,
  };
}
