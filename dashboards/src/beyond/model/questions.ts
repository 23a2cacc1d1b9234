/** A view becomes the questions of the panels beyond. Pure, like those of the main panels. */
import type { Asked, JourneysAsked } from '../../api/kept';
import type { Query } from '../../api/types';
import { addDays } from '../../model/calendar';
import { dateRange, daysAt, type Now } from '../../model/period';
import type { View } from '../../model/view';

/** More goals than these are not shown. */
export const MAX_GOALS = 100;
/** How many steps between pages are asked for. */
export const MAX_STEPS = 20;
/** The spans that retention offers, in weeks; the server answers no more than the last. */
export const RETENTION_WEEKS: readonly number[] = [8, 12, 26];

export function asked(view: View, now: Now): Asked {
  return { site_id: view.site, date_range: dateRange(daysAt(view.period, now)), filters: view.filters };
}

/** `money`: a goal has a currency. */
export function goalsQuery(view: View, now: Now, money: boolean): Query {
  return {
    ...asked(view, now),
    metrics: ['visitors', 'events', 'conversion_rate', ...(money ? ['total_revenue'] : [])],
    dimensions: ['event:goal'],
    order_by: [
      ['visitors', 'desc'],
      ['event:goal', 'asc'],
    ],
    pagination: { limit: MAX_GOALS, offset: 0 },
  };
}

export function journeysAsked(view: View, now: Now, from: string | null): JourneysAsked {
  return { ...asked(view, now), from, limit: MAX_STEPS };
}

/**
 * Retention looks back whole weeks from this one, whatever the period: a cohort of
 * today says nothing yet. Null weeks: the period of the view, as the guard wants it.
 */
export function retentionAsked(view: View, now: Now, weeks: number | null): Asked {
  if (weeks === null) return asked(view, now);
  return { ...asked(view, now), date_range: [addDays(mondayOf(now.today), 7 * (1 - weeks)), now.today] };
}

export function mondayOf(day: string): string {
  const weekday = new Date(`${day}T00:00:00Z`).getUTCDay();
  return addDays(day, -((weekday + 6) % 7));
}
