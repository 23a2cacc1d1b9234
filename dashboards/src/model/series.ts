/**
 * An answer by time becomes columns of the graph: every bucket of the range in
 * its order, empty ones filled, those still to come left open.
 */
import type { Answer, Interval, Value } from '../api/types';
import { isCount, type MetricName } from './metrics';
import type { Now } from './period';

export interface Series {
  /** `2026-03-01`, or `2026-03-01 14:00:00` for hours; the site's clock. */
  readonly labels: readonly string[];
  /** Null where there is no number, or not yet. */
  readonly values: readonly Value[];
  /** The bucket that is still filling; -1 when all are complete. */
  readonly current: number;
}

export function seriesOf(answer: Answer, metric: MetricName, interval: Interval, now: Now): Series {
  const found = new Map(answer.results.map((row) => [row.dimensions[0] ?? '', row.metrics[0] ?? null]));
  const labels = answer.meta.time_labels?.length ? answer.meta.time_labels : [...found.keys()];
  const clock = interval === 'hour' ? `${now.today} ${now.time}:59` : now.today;
  const empty = isCount(metric) ? 0 : null;
  let current = -1;
  const values = labels.map((label, index) => {
    if (label > clock) return null;
    const next = labels[index + 1];
    if ((next === undefined || next > clock) && reaches(label, interval, now)) current = index;
    return found.has(label) ? (found.get(label) ?? null) : empty;
  });
  return { labels, values, current };
}

/** Whether the bucket of a label contains now. */
function reaches(label: string, interval: Interval, now: Now): boolean {
  switch (interval) {
    case 'hour':
      return label.slice(0, 13) === `${now.today} ${now.time.slice(0, 2)}`;
    case 'day':
      return label === now.today;
    case 'week':
      return Date.parse(now.today) - Date.parse(label) < 7 * 86_400_000;
    case 'month':
      return label.slice(0, 7) === now.today.slice(0, 7);
  }
}
