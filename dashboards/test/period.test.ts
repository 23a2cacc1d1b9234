/** Days, periods and what they are compared with; the clock is passed in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addMonths, daysBetween, instantOf, isDay, wallClock } from '../src/model/calendar';
import {
  comparedDays,
  comparedRange,
  daysAt,
  daysOf,
  guardedPeriod,
  intervalsOf,
  isCompare,
  isPeriod,
  isUneven,
  shifted,
  unitOf,
  type Compare,
} from '../src/model/period';

const TODAY = '2026-03-18';
const range = (from: string, to: string) => ({ from, to });

test('today is the day of the site, not of the browser', () => {
  const instant = new Date('2026-03-18T20:40:00Z');
  assert.deepEqual(wallClock(instant, 'Europe/Moscow'), ['2026-03-18', '23:40']);
  assert.deepEqual(wallClock(instant, 'Asia/Kolkata'), ['2026-03-19', '02:10']);
  assert.deepEqual(wallClock(instant, 'Asia/Kathmandu'), ['2026-03-19', '02:25']);
  assert.deepEqual(wallClock(new Date('2026-03-18T00:00:00Z'), 'UTC'), ['2026-03-18', '00:00']);
});

test('a wall clock gets the offset that holds at that time', () => {
  const check = (day: string, time: string, zone: string, expected: string) =>
    assert.equal(instantOf(day, time, zone), `${day}T${time}:00${expected}`);
  check('2026-03-18', '14:05', 'Europe/Moscow', '+03:00');
  check('2026-03-18', '00:00', 'Asia/Kolkata', '+05:30');
  check('2026-03-18', '00:00', 'America/St_Johns', '-02:30');
  check('2026-03-29', '01:30', 'Europe/Berlin', '+01:00');
  check('2026-03-29', '03:30', 'Europe/Berlin', '+02:00');
  check('2026-10-25', '23:00', 'Europe/Berlin', '+01:00');
  check('2026-07-01', '12:00', 'UTC', '+00:00');
});

test('months end where they end', () => {
  assert.equal(addMonths('2026-03-31', -1), '2026-02-28');
  assert.equal(addMonths('2024-02-29', -12), '2023-02-28');
  assert.equal(addMonths('2026-01-15', -11), '2025-02-15');
  assert.equal(daysBetween('2026-03-28', '2026-03-30'), 3);
  assert.ok(isDay('2024-02-29'));
  for (const wrong of ['2026-02-29', '2026-13-01', '26-01-01', '2026-1-1', '']) assert.ok(!isDay(wrong), wrong);
});

test('every period that is not over includes today', () => {
  const check = (period: string, from: string, to: string) => assert.deepEqual(daysOf(period, TODAY), range(from, to));
  check('today', TODAY, TODAY);
  check('yesterday', '2026-03-17', '2026-03-17');
  check('7d', '2026-03-12', TODAY);
  check('28d', '2026-02-19', TODAY);
  check('91d', '2025-12-18', TODAY);
  check('week', '2026-03-16', TODAY);
  check('last-week', '2026-03-09', '2026-03-15');
  check('month', '2026-03-01', TODAY);
  check('last-month', '2026-02-01', '2026-02-28');
  check('year', '2026-01-01', TODAY);
  check('12mo', '2025-04-01', TODAY);
  check('2026-01-05..2026-01-09', '2026-01-05', '2026-01-09');
  assert.equal(daysOf('all', TODAY), null);
});

test('periods in the address are checked', () => {
  for (const good of ['today', '7d', '5000d', 'all', '2026-01-01..2026-01-01']) assert.ok(isPeriod(good), good);
  for (const wrong of [
    '',
    '0d',
    '5001d',
    '-1d',
    '7D',
    'toString',
    '2026-01-02..2026-01-01',
    '2026-01-01..',
    '2026-01-01..2026-01-02..2026-01-03',
    '1000-01-01..2026-01-01',
  ]) {
    assert.ok(!isPeriod(wrong), wrong);
  }
});

test('a period is compared with one of the same kind', () => {
  const check = (period: string, compare: Compare, from: string, to: string) =>
    assert.deepEqual(comparedDays(period, daysOf(period, TODAY), compare), range(from, to), period);
  check('today', 'previous', '2026-03-17', '2026-03-17');
  check('7d', 'previous', '2026-03-05', '2026-03-11');
  check('7d', 'year', '2025-03-12', '2025-03-18');
  check('month', 'previous', '2026-02-01', '2026-02-18');
  check('last-month', 'previous', '2026-01-01', '2026-01-31');
  check('2026-01-01..2026-02-28', 'previous', '2025-11-01', '2025-12-31');
  check('year', 'previous', '2025-01-01', '2025-03-18');
  check('2026-01-05..2026-01-09', 'previous', '2025-12-31', '2026-01-04');
  assert.equal(comparedDays('7d', daysOf('7d', TODAY), 'none'), null);
  assert.equal(comparedDays('all', null, 'previous'), null);
});

test('half of today is compared with half of the other day', () => {
  const now = { today: TODAY, time: '14:05', timezone: 'Europe/Moscow' };
  assert.deepEqual(comparedRange(range(TODAY, TODAY), range('2026-03-17', '2026-03-17'), now), [
    '2026-03-17T00:00:00+03:00',
    '2026-03-17T14:05:00+03:00',
  ]);
  assert.deepEqual(comparedRange(range('2026-03-17', '2026-03-17'), range('2026-03-16', '2026-03-16'), now), [
    '2026-03-16',
    '2026-03-16',
  ]);
});

test('steps go to the neighbouring period and never beyond today', () => {
  const check = (period: string, direction: -1 | 1, expected: string | null) =>
    assert.equal(shifted(period, daysOf(period, TODAY), TODAY, direction), expected, period);
  check('today', -1, 'yesterday');
  check('yesterday', 1, 'today');
  check('today', 1, null);
  check('7d', -1, '2026-03-05..2026-03-11');
  check('2026-03-05..2026-03-11', 1, '2026-03-12..2026-03-18');
  check('2026-03-10..2026-03-16', 1, '2026-03-17..2026-03-18');
  check('month', -1, 'last-month');
  check('last-month', 1, 'month');
  check('last-month', -1, '2026-01-01..2026-01-31');
  check('all', -1, null);
  check('week', -1, 'last-week');
  check('last-week', 1, 'week');
  check('last-week', -1, '2026-03-02..2026-03-08');
});

test('long ranges get wide intervals', () => {
  const check = (from: string, to: string, expected: string) => assert.equal(intervalsOf(range(from, to))[0], expected);
  check(TODAY, TODAY, 'hour');
  check('2026-03-12', TODAY, 'day');
  check('2025-12-18', TODAY, 'day');
  check('2025-04-01', TODAY, 'week');
  check('2023-01-01', TODAY, 'month');
  assert.equal(intervalsOf(null)[0], 'month');
});

test('compared days begin on the same day of the week when that is wanted', () => {
  const check = (period: string, compare: Compare, from: string, to: string) =>
    assert.deepEqual(comparedDays(period, daysOf(period, TODAY), compare, true), range(from, to), `${period} ${compare}`);
  // Of seven days the days before begin on the same one already.
  check('7d', 'previous', '2026-03-05', '2026-03-11');
  // 12 March 2026 is a Thursday, a year before it was a Wednesday.
  check('7d', 'year', '2025-03-13', '2025-03-19');
  // The nearest one ahead would reach into the period.
  check('2026-03-05..2026-03-09', 'previous', '2026-02-26', '2026-03-02');
  check('2026-03-10..2026-03-10', 'previous', '2026-03-03', '2026-03-03');
  check('7d', '2026-01-01..2026-01-07', '2026-01-01', '2026-01-07');
});

test('a comparison in the address is one of three, or days', () => {
  for (const good of ['previous', 'year', 'none', '2025-01-01..2025-02-01']) assert.ok(isCompare(good), good);
  for (const wrong of ['', '7d', 'all', '2025-02-01..2025-01-01', 'constructor']) assert.ok(!isCompare(wrong), wrong);
});

test('where the guard holds, periods are whole days, weeks and months', () => {
  const now = { today: TODAY, time: '14:05', timezone: 'Europe/Moscow', guarded: true };
  const check = (period: string, from: string, to: string) => {
    const fit = guardedPeriod(period, TODAY);
    assert.deepEqual(daysAt(fit, now), range(from, to), period);
    assert.notEqual(unitOf(range(from, to)), null, period);
  };
  check('today', TODAY, TODAY);
  check('week', '2026-03-16', '2026-03-22');
  check('month', '2026-03-01', '2026-03-31');
  check('last-month', '2026-02-01', '2026-02-28');
  check('2026-01-05..2026-01-11', '2026-01-05', '2026-01-11');
  for (const other of ['28d', '91d', '12mo', 'all', '2026-01-05..2026-01-09', '2026-01-06..2026-01-12', '2026-01-01..2026-02-28']) {
    check(other, '2026-03-01', '2026-03-31');
  }
  assert.equal(unitOf(range('2026-01-06', '2026-01-12')), null);
  assert.equal(shifted('month', daysAt('month', now), TODAY, -1, true), 'last-month');
  assert.equal(shifted('last-week', daysAt('last-week', now), TODAY, 1, true), 'week');
  assert.equal(shifted('week', daysAt('week', now), TODAY, 1, true), null);
  assert.ok(isUneven(daysAt('month', now), now));
  assert.ok(!isUneven(daysAt('last-month', now), now));
  assert.deepEqual(comparedDays('week', daysAt('week', now), 'year'), range('2025-03-17', '2025-03-23'));
  assert.deepEqual(comparedRange(daysAt('today', now), range('2026-03-17', '2026-03-17'), now), ['2026-03-17', '2026-03-17']);
});
