/**
 * Numbers and dates as people write them, through `Intl`. What the API gives in
 * the site's clock is formatted as UTC, so the browser's own zone never shows.
 */
import type { Interval, Value } from '../api/types';
import { METRICS, type MetricName } from '../model/metrics';
import { addDays, asUtcDate } from '../model/calendar';
import type { Change } from '../model/change';
import type { Days } from '../model/period';
import type { MessageKey } from './en';
import type { Params } from './language';

/** What is written where there is no number. */
export const NO_NUMBER = '—';

/** Counts from here on are written short where space is scarce. */
const COMPACT_FROM = 100_000;

export interface Formats {
  number(value: number): string;
  /** A number of a metric, in full. */
  metric(metric: MetricName, value: Value): string;
  /** The same where space is scarce: `128K`. */
  short(metric: MetricName, value: Value): string;
  share(part: number): string;
  change(change: Change): string;
  days(days: Days): string;
  /** A bucket of the graph, in full. */
  bucket(label: string, interval: Interval): string;
  /** A bucket on the axis; `oneDay`: all hours are of the same day. */
  tick(label: string, interval: Interval, oneDay: boolean): string;
  time(instant: Date, timezone: string): string;
  country(code: string): string;
  language(code: string): string;
}

export function formats(language: string, t: (key: MessageKey, params?: Params) => string): Formats {
  const plain = new Intl.NumberFormat(language);
  const compact = new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1 });
  const ratio = new Intl.NumberFormat(language, { minimumFractionDigits: 0, maximumFractionDigits: 2 });
  const percent = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 });
  const whole = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 0 });
  const signed = new Intl.NumberFormat(language, {
    style: 'percent',
    maximumFractionDigits: 0,
    signDisplay: 'exceptZero',
  });
  const finer = new Intl.NumberFormat(language, {
    style: 'percent',
    maximumFractionDigits: 1,
    signDisplay: 'exceptZero',
  });
  const points = new Intl.NumberFormat(language, { maximumFractionDigits: 1, signDisplay: 'exceptZero' });
  const date = (options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat =>
    new Intl.DateTimeFormat(language, { timeZone: 'UTC', ...options });
  const dayFull = date({ weekday: 'short', day: 'numeric', month: 'long', year: 'numeric' });
  const dayShort = date({ day: 'numeric', month: 'short' });
  const dayYear = date({ day: 'numeric', month: 'short', year: 'numeric' });
  const monthFull = date({ month: 'long', year: 'numeric' });
  const monthShort = date({ month: 'short' });
  const hour = date({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  const languages = new Intl.DisplayNames(language, { type: 'language', fallback: 'none' });
  const regions = new Intl.DisplayNames(language, { type: 'region', fallback: 'none' });

  const duration = (seconds: number): string => {
    const all = Math.round(seconds);
    const [h, m, s] = [Math.floor(all / 3600), Math.floor((all % 3600) / 60), all % 60];
    if (h > 0) return t('duration.hours', { h, m });
    return m > 0 ? t('duration.minutes', { m, s }) : t('duration.seconds', { s });
  };

  const written = (metric: MetricName, value: Value, count: (value: number) => string): string => {
    if (value === null) return NO_NUMBER;
    switch (METRICS[metric].format) {
      case 'count':
        return count(value);
      case 'ratio':
        return ratio.format(value);
      case 'percent':
        return percent.format(value / 100);
      case 'duration':
        return duration(value);
    }
  };

  return {
    number: (value) => plain.format(value),
    metric: (metric, value) => written(metric, value, (count) => plain.format(count)),
    short: (metric, value) => written(metric, value, (count) => (count < COMPACT_FROM ? plain : compact).format(count)),
    share: (part) => (part > 0 && part < 0.01 ? percent : whole).format(part),
    change: ({ by, unit }) => {
      if (unit === 'points') return t('change.points', { number: minus(points.format(by)) });
      return minus((Math.abs(by) < 0.1 ? finer : signed).format(by));
    },
    days: ({ from, to }) =>
      from === to ? dayYear.format(asUtcDate(from)) : dayYear.formatRange(asUtcDate(from), asUtcDate(to)),
    bucket: (label, interval) => {
      const at = asUtcDate(label);
      switch (interval) {
        case 'hour':
          return `${dayShort.format(at)}, ${hour.format(at)}–${hour.format(new Date(at.getTime() + 3_600_000))}`;
        case 'day':
          return dayFull.format(at);
        case 'week':
          return dayYear.formatRange(at, asUtcDate(addDays(label, 7 - ((at.getUTCDay() + 6) % 7) - 1)));
        case 'month':
          return monthFull.format(at);
      }
    },
    tick: (label, interval, oneDay) => {
      const at = asUtcDate(label);
      if (interval === 'hour') return label.slice(11) === '00:00:00' && !oneDay ? dayShort.format(at) : hour.format(at);
      if (interval !== 'month') return dayShort.format(at);
      return at.getUTCMonth() === 0 ? String(at.getUTCFullYear()) : monthShort.format(at);
    },
    time: (instant, timezone) =>
      new Intl.DateTimeFormat(language, {
        timeZone: timezone,
        hour: '2-digit',
        minute: '2-digit',
        hourCycle: 'h23',
      }).format(instant),
    language: (code) => {
      try {
        const name = languages.of(code) ?? code;
        return name.charAt(0).toLocaleUpperCase(language) + name.slice(1);
      } catch {
        // Not a language code at all; shown as it came.
        return code;
      }
    },
    country: (code) => {
      try {
        return regions.of(code) ?? code;
      } catch {
        // Not a region code at all; shown as it came.
        return code;
      }
    },
  };
}

/** A real minus sign, as wide as a plus. */
function minus(text: string): string {
  return text.replace('-', '−');
}
