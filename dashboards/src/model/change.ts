/** How a number compares with that of another period. */
import type { Value } from '../api/types';
import { METRICS, type MetricName } from './metrics';

export interface Change {
  /** Relative change (0.12 is 12 % more), or percentage points for a metric that is a percentage. */
  readonly by: number;
  readonly unit: 'relative' | 'points';
  readonly direction: 'up' | 'down' | 'same';
  readonly good: boolean | null;
}

/** Null when there is nothing to compare with: no number, or growth from zero. */
export function changeOf(metric: MetricName, value: Value, before: Value): Change | null {
  if (value === null || before === null) return null;
  const { format, better } = METRICS[metric];
  const points = format === 'percent';
  if (!points && before === 0) return value === 0 ? { by: 0, unit: 'relative', direction: 'same', good: null } : null;
  const by = points ? value - before : (value - before) / before;
  // What would be written as zero is no change.
  if (Math.abs(by) < (points ? 0.05 : 0.0005)) {
    return { by: 0, unit: points ? 'points' : 'relative', direction: 'same', good: null };
  }
  return {
    by,
    unit: points ? 'points' : 'relative',
    direction: by > 0 ? 'up' : 'down',
    good: by > 0 === better > 0,
  };
}
