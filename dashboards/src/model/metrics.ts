/** The numbers that the dashboard knows: how each is written and which way is good. */

export type MetricFormat = 'count' | 'ratio' | 'percent' | 'duration';

export interface Metric {
  readonly name: string;
  readonly format: MetricFormat;
  /** `1` more is better, `-1` less is better. */
  readonly better: 1 | -1;
}

const count = (name: string): Metric => ({ name, format: 'count', better: 1 });

export const METRICS = {
  visitors: count('visitors'),
  visits: count('visits'),
  pageviews: count('pageviews'),
  views_per_visit: { name: 'views_per_visit', format: 'ratio', better: 1 },
  bounce_rate: { name: 'bounce_rate', format: 'percent', better: -1 },
  visit_duration: { name: 'visit_duration', format: 'duration', better: 1 },
  events: count('events'),
  ad_views: count('ad_views'),
  ad_viewable: count('ad_viewable'),
  ad_clicks: count('ad_clicks'),
  ad_ctr: { name: 'ad_ctr', format: 'percent', better: 1 },
  scroll_depth: { name: 'scroll_depth', format: 'percent', better: 1 },
  time_on_page: { name: 'time_on_page', format: 'duration', better: 1 },
  exit_rate: { name: 'exit_rate', format: 'percent', better: -1 },
  conversion_rate: { name: 'conversion_rate', format: 'percent', better: 1 },
  group_conversion_rate: { name: 'group_conversion_rate', format: 'percent', better: 1 },
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof METRICS;

/** The headline numbers, in their order; each can be shown in the graph. */
export const HEADLINE: readonly MetricName[] = [
  'visitors',
  'visits',
  'pageviews',
  'views_per_visit',
  'bounce_rate',
  'visit_duration',
];

/** The same where a goal is chosen: visitors and events are those that reached it. */
const HEADLINE_OF_GOAL: readonly MetricName[] = [
  'visitors',
  'conversion_rate',
  'events',
  'visits',
  'pageviews',
  'visit_duration',
];

export function headlineOf(goal: boolean): readonly MetricName[] {
  return goal ? HEADLINE_OF_GOAL : HEADLINE;
}

export function isHeadline(metric: string): metric is MetricName {
  return [...HEADLINE, ...HEADLINE_OF_GOAL].some((each) => each === metric);
}

/** A metric of which nothing happening is 0; the others do not exist without a visit. */
export function isCount(metric: MetricName): boolean {
  return METRICS[metric].format === 'count';
}
