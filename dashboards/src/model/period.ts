/**
 * Periods that a marketer chooses, turned into days of the site's calendar.
 *
 * Every period that people think of as "until now" includes today, so that a
 * fresh hit shows up at once; that is why the API's own `7d` (which ends
 * yesterday) is not used, but explicit days.
 */
import type { DateRange, Interval } from '../api/types';
import {
  addDays,
  addMonths,
  daysBetween,
  firstOfMonth,
  instantOf,
  isDay,
  lastOfMonth,
  mondayOf,
  weekdayOf,
  type Day,
} from './calendar';

/** In the address: `today yesterday 28d week last-week month last-month year 12mo all 2026-01-01..2026-01-31`. */
export type Period = string;

/** In the address: `previous year none`, or days of their own: `2026-01-01..2026-01-31`. */
export type Compare = string;

/** The offered periods, in the order of the menu; groups are separated there. */
export const PERIOD_GROUPS: readonly (readonly Period[])[] = [
  ['today', 'yesterday'],
  ['7d', '28d', '30d', '91d'],
  ['week', 'last-week', 'month', 'last-month'],
  ['year', '12mo', 'all'],
];

/** What the guard of small counts lets be asked: whole units of the site's calendar. */
export const GUARDED_PERIOD_GROUPS: readonly (readonly Period[])[] = [
  ['today', 'yesterday'],
  ['week', 'last-week'],
  ['month', 'last-month'],
];

/** Four whole weeks: every weekday is there as often as in the period before. */
export const DEFAULT_PERIOD: Period = '28d';

/** The default where only whole units may be asked. */
export const GUARDED_DEFAULT_PERIOD: Period = 'month';

/** Above this many days one column per hour is noise. */
const MAX_DAYS_BY_HOUR = 2;
/** Above this many days one column per day is noise. */
const MAX_DAYS_BY_DAY = 100;
/** Above this many days one column per week is noise. */
const MAX_DAYS_BY_WEEK = 400;
/** More days than this are not a range that the API takes (`Nd` ends at 5000). */
const MAX_DAYS = 5_000;

export interface Days {
  readonly from: Day;
  readonly to: Day;
}

/** Where "now" is, in the site's zone. */
export interface Now {
  readonly today: Day;
  /** `HH:MM` */
  readonly time: string;
  readonly timezone: string;
  /** The guard of small counts holds: periods are whole days, weeks and months, also those that are not over. */
  readonly guarded?: boolean;
}

export type Unit = 'day' | 'week' | 'month';

export function isPeriod(text: string): boolean {
  if (PERIOD_GROUPS.some((group) => group.includes(text))) return true;
  const days = /^([1-9]\d{0,3})d$/.exec(text);
  if (days) return Number(days[1]) <= MAX_DAYS;
  const [from = '', to = '', rest] = text.split('..');
  return rest === undefined && isDay(from) && isDay(to) && from <= to && daysBetween(from, to) <= MAX_DAYS;
}

export function rangePeriod(from: Day, to: Day): Period {
  return `${from}..${to}`;
}

/** The days of a period; null is "all", whose beginning only the server knows. */
export function daysOf(period: Period, today: Day): Days | null {
  switch (period) {
    case 'today':
      return { from: today, to: today };
    case 'yesterday':
      return { from: addDays(today, -1), to: addDays(today, -1) };
    case 'week':
      return { from: mondayOf(today), to: today };
    case 'last-week':
      return { from: addDays(mondayOf(today), -7), to: addDays(mondayOf(today), -1) };
    case 'month':
      return { from: firstOfMonth(today), to: today };
    case 'last-month': {
      const last = addDays(firstOfMonth(today), -1);
      return { from: firstOfMonth(last), to: last };
    }
    case 'year':
      return { from: `${today.slice(0, 4)}-01-01`, to: today };
    case '12mo':
      return { from: addMonths(firstOfMonth(today), -11), to: today };
    case 'all':
      return null;
  }
  if (period.endsWith('d')) return { from: addDays(today, 1 - Number.parseInt(period, 10)), to: today };
  const [from = today, to = today] = period.split('..');
  return { from, to };
}

export function dateRange(days: Days | null): DateRange {
  return days ? [days.from, days.to] : 'all';
}

/** The days that are asked about: whole units where the guard holds. */
export function daysAt(period: Period, now: Now): Days | null {
  const days = daysOf(period, now.today);
  if (!now.guarded || !days) return days;
  if (period === 'week') return wholeUnit('week', now.today);
  if (period === 'month') return wholeUnit('month', now.today);
  return days;
}

/** The day, week (from Monday) or month of the calendar that a day is in. */
export function wholeUnit(unit: Unit, day: Day): Days {
  switch (unit) {
    case 'day':
      return { from: day, to: day };
    case 'week':
      return { from: mondayOf(day), to: addDays(mondayOf(day), 6) };
    case 'month':
      return { from: firstOfMonth(day), to: lastOfMonth(day) };
  }
}

/** Which whole unit a range is; null for any other range. */
export function unitOf({ from, to }: Days): Unit | null {
  const units: readonly Unit[] = ['day', 'week', 'month'];
  return (
    units.find((unit) => {
      const whole = wholeUnit(unit, from);
      return whole.from === from && whole.to === to;
    }) ?? null
  );
}

/** The period itself where the guard lets it be asked, else the default. */
export function guardedPeriod(period: Period, today: Day): Period {
  if (GUARDED_PERIOD_GROUPS.some((group) => group.includes(period))) return period;
  const days = daysOf(period, today);
  return days && isPeriod(period) && unitOf(days) !== null ? rangePeriod(days.from, days.to) : GUARDED_DEFAULT_PERIOD;
}

export function isCompare(text: string): boolean {
  return ['previous', 'year', 'none'].includes(text) || (text.includes('..') && isPeriod(text));
}

/**
 * The days to compare with; null when there is nothing to compare. With
 * `weekdays` they are moved by a few days to begin on the same day of the week.
 */
export function comparedDays(period: Period, days: Days | null, compare: Compare, weekdays = false): Days | null {
  const compared = daysBefore(period, days, compare);
  if (!days || !compared || !weekdays) return compared;
  // The nearest such day, at most three away, but never into the period itself.
  const ahead = (weekdayOf(days.from) - weekdayOf(compared.from) + 7) % 7;
  let by = ahead > 3 ? ahead - 7 : ahead;
  if (by > 0 && addDays(compared.to, by) >= days.from) by -= 7;
  return { from: addDays(compared.from, by), to: addDays(compared.to, by) };
}

function daysBefore(period: Period, days: Days | null, compare: Compare): Days | null {
  if (!days || compare === 'none') return null;
  if (compare.includes('..')) return daysOf(compare, days.to);
  if (compare === 'year') {
    // The same week of another year begins on a Monday too.
    if (unitOf(days) === 'week') return { from: addDays(days.from, -364), to: addDays(days.to, -364) };
    if (unitOf(days) === 'month') return wholeUnit('month', addMonths(days.from, -12));
    return { from: addMonths(days.from, -12), to: addMonths(days.to, -12) };
  }
  if (days.from === firstOfMonth(days.from) && days.to === lastOfMonth(days.to)) {
    const months = monthsBetween(days.from, days.to);
    return { from: addMonths(days.from, -months), to: lastOfMonth(addMonths(days.from, -1)) };
  }
  if (period === 'week') return { from: addDays(days.from, -7), to: addDays(days.to, -7) };
  if (period === 'month') return { from: addMonths(days.from, -1), to: addMonths(days.to, -1) };
  if (period === 'year' || period === '12mo') return { from: addMonths(days.from, -12), to: addMonths(days.to, -12) };
  const length = daysBetween(days.from, days.to);
  return { from: addDays(days.from, -length), to: addDays(days.from, -1) };
}

/** Whether the compared days are whole although the period's own are not over: the numbers say little of each other. */
export function isUneven(days: Days | null, now: Now): boolean {
  return now.guarded === true && days !== null && days.to >= now.today;
}

/**
 * The range of the comparison's totals. Where the period ends today, the other
 * one ends at the same time of its last day: half a day is not compared with a
 * whole one. The guard of small counts lets only whole units be asked.
 */
export function comparedRange(days: Days | null, compared: Days, now: Now): DateRange {
  if (days?.to === now.today && !now.guarded) {
    return [instantOf(compared.from, '00:00', now.timezone), instantOf(compared.to, now.time, now.timezone)];
  }
  return [compared.from, compared.to];
}

/** The neighbouring range of the same length, or the neighbouring month; null where there is none. */
export function shifted(period: Period, days: Days | null, today: Day, direction: -1 | 1, guarded = false): Period | null {
  if (!days) return null;
  let next: Days;
  if (period === 'month' || (days.from === firstOfMonth(days.from) && days.to === lastOfMonth(days.to))) {
    const months = Math.max(1, monthsBetween(days.from, days.to));
    const from = addMonths(days.from, direction * months);
    next = { from, to: lastOfMonth(addMonths(from, months - 1)) };
  } else if (period === 'week') {
    next = wholeUnit('week', addDays(days.from, direction * 7));
  } else {
    const length = daysBetween(days.from, days.to);
    next = { from: addDays(days.from, direction * length), to: addDays(days.to, direction * length) };
  }
  if (next.from > today) return null;
  for (const named of ['today', 'yesterday', 'week', 'last-week', 'month', 'last-month']) {
    const known = daysAt(named, { today, time: '', timezone: '', guarded });
    if (known && known.from === next.from && (known.to === next.to || (next.to > today && known.to === today))) {
      return named;
    }
  }
  if (next.to > today && !guarded) next = { from: next.from, to: today };
  return rangePeriod(next.from, next.to);
}

/** The intervals that suit a range, the default one first. Where the guard holds: the whole units in it. */
export function intervalsOf(days: Days | null, guarded = false): readonly Interval[] {
  if (guarded) return days && days.from !== days.to ? ['day'] : ['hour'];
  if (!days) return ['month', 'week'];
  const length = daysBetween(days.from, days.to);
  if (length <= MAX_DAYS_BY_HOUR) return ['hour'];
  if (length <= 14) return ['day', 'hour'];
  if (length <= MAX_DAYS_BY_DAY) return ['day', 'week'];
  if (length <= MAX_DAYS_BY_WEEK) return ['week', 'day', 'month'];
  return ['month', 'week'];
}

function monthsBetween(from: Day, to: Day): number {
  return (
    (Number(to.slice(0, 4)) - Number(from.slice(0, 4))) * 12 + Number(to.slice(5, 7)) - Number(from.slice(5, 7)) + 1
  );
}
