/**
 * Days of the site's calendar as `YYYY-MM-DD` texts, and what time it is there.
 *
 * Arithmetic on days goes through UTC and never through a time zone, so that a
 * change of clocks cannot lose or double a day. The zone is asked only for
 * "what is today there" and "what offset does that wall clock have".
 */

export type Day = string;

const DAY_MS = 86_400_000;

/** The wall clock of a zone at an instant: `["2026-03-01", "14:05"]`. */
export function wallClock(instant: Date, timezone: string): readonly [Day, string] {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: timezone,
    calendar: 'gregory',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(instant);
  const part = (type: string): string => parts.find((each) => each.type === type)?.value ?? '';
  return [`${part('year')}-${part('month')}-${part('day')}`, `${part('hour')}:${part('minute')}`];
}

/** A wall clock of a zone as an ISO instant with offset: `2026-03-01T14:05:00+03:00`. */
export function instantOf(day: Day, time: string, timezone: string): string {
  const asUtc = Date.parse(`${day}T${time}:00Z`);
  // The offset depends on the instant and the instant on the offset: twice is enough around a change of clocks.
  let offset = offsetMinutes(new Date(asUtc), timezone);
  offset = offsetMinutes(new Date(asUtc - offset * 60_000), timezone);
  const sign = offset < 0 ? '-' : '+';
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${day}T${time}:00${sign}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
}

export function addDays(day: Day, days: number): Day {
  return fromMs(toMs(day) + days * DAY_MS);
}

/** The same day of another month, or that month's last day. */
export function addMonths(day: Day, months: number): Day {
  const [year, month, date] = split(day);
  const first = Date.UTC(year, month - 1 + months, 1);
  const last = daysInMonth(fromMs(first));
  return fromMs(first + (Math.min(date, last) - 1) * DAY_MS);
}

export function daysInMonth(day: Day): number {
  const [year, month] = split(day);
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** The Monday of a day's week. */
export function mondayOf(day: Day): Day {
  return addDays(day, -weekdayOf(day));
}

/** 0 is Monday. */
export function weekdayOf(day: Day): number {
  return (new Date(toMs(day)).getUTCDay() + 6) % 7;
}

export function firstOfMonth(day: Day): Day {
  return `${day.slice(0, 7)}-01`;
}

export function lastOfMonth(day: Day): Day {
  return `${day.slice(0, 7)}-${String(daysInMonth(day)).padStart(2, '0')}`;
}

/** How many days a range has, both ends included. */
export function daysBetween(from: Day, to: Day): number {
  return Math.round((toMs(to) - toMs(from)) / DAY_MS) + 1;
}

/** Whether a text is a day that exists. */
export function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(toMs(text)) && fromMs(toMs(text)) === text;
}

/** A day, or `YYYY-MM-DD HH:MM:SS` of the site's clock, as a UTC date for `Intl` with `timeZone: 'UTC'`. */
export function asUtcDate(label: string): Date {
  return new Date(label.length > 10 ? `${label.slice(0, 10)}T${label.slice(11)}Z` : `${label}T00:00:00Z`);
}

function offsetMinutes(instant: Date, timezone: string): number {
  const [day, time] = wallClock(instant, timezone);
  const wall = Date.parse(`${day}T${time}:00Z`);
  return Math.round((wall - Math.floor(instant.getTime() / 60_000) * 60_000) / 60_000);
}

function split(day: Day): [number, number, number] {
  return [Number(day.slice(0, 4)), Number(day.slice(5, 7)), Number(day.slice(8, 10))];
}

function toMs(day: Day): number {
  return Date.parse(`${day}T00:00:00Z`);
}

function fromMs(ms: number): Day {
  return new Date(ms).toISOString().slice(0, 10);
}
