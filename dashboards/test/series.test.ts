/** Answers by time become gapless columns; numbers become changes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer, Value } from '../src/api/types';
import { changeOf } from '../src/model/change';
import type { MetricName } from '../src/model/metrics';
import { flagsOf } from '../src/model/notes';
import { seriesOf } from '../src/model/series';

const NOW = { today: '2026-03-18', time: '14:05', timezone: 'Europe/Moscow' };

function answer(time_labels: string[] | undefined, found: Record<string, Value>): Answer {
  return {
    results: Object.entries(found).map(([label, value]) => ({ dimensions: [label], metrics: [value] })),
    meta: time_labels ? { time_labels } : {},
    query: {},
  };
}

test('empty buckets are zero for counts and open for rates', () => {
  const given = answer(['2026-03-16', '2026-03-17', '2026-03-18'], { '2026-03-16': 5, '2026-03-18': 2 });
  assert.deepEqual(seriesOf(given, 'visitors', 'day', NOW).values, [5, 0, 2]);
  assert.deepEqual(seriesOf(given, 'bounce_rate', 'day', NOW).values, [5, null, 2]);
  assert.equal(seriesOf(given, 'visitors', 'day', NOW).current, 2);
});

test('hours to come are open, and the one now is marked', () => {
  const labels = ['13', '14', '15'].map((hour) => `2026-03-18 ${hour}:00:00`);
  const series = seriesOf(answer(labels, { [labels[0] ?? '']: 4 }), 'visitors', 'hour', NOW);
  assert.deepEqual(series.values, [4, 0, null]);
  assert.equal(series.current, 1);
});

test('a past range has no unfinished bucket; this week and month do', () => {
  const current = (labels: string[], interval: 'day' | 'week' | 'month') =>
    seriesOf(answer(labels, {}), 'visitors', interval, NOW).current;
  assert.equal(current(['2026-03-01', '2026-03-02'], 'day'), -1);
  assert.equal(current(['2026-03-09', '2026-03-16'], 'week'), 1);
  assert.equal(current(['2026-03-02', '2026-03-09'], 'week'), -1);
  assert.equal(current(['2026-02-01', '2026-03-01'], 'month'), 1);
});

test('without labels the buckets of the answer are shown', () => {
  assert.deepEqual(seriesOf(answer(undefined, { '2026-03-01': 1 }), 'visitors', 'day', NOW).labels, ['2026-03-01']);
});

test('a change says how much and whether that is good', () => {
  const check = (metric: MetricName, value: Value, before: Value, expected: unknown) =>
    assert.deepEqual(changeOf(metric, value, before), expected);
  check('visitors', 112, 100, { by: 0.12, unit: 'relative', direction: 'up', good: true });
  check('visitors', 50, 100, { by: -0.5, unit: 'relative', direction: 'down', good: false });
  check('bounce_rate', 40, 45, { by: -5, unit: 'points', direction: 'down', good: true });
  check('visitors', 100, 100, { by: 0, unit: 'relative', direction: 'same', good: null });
  check('visitors', 0, 0, { by: 0, unit: 'relative', direction: 'same', good: null });
  check('visitors', 5, 0, null);
  check('bounce_rate', null, 45, null);
  check('bounce_rate', 45, null, null);
});

test('remarks stand on the bucket that their day is in', () => {
  const notes = ['2026-03-01', '2026-03-02', '2026-03-11', '2026-03-20'].map((day) => ({ id: day, day, text: day }));
  const check = (labels: string[], interval: 'hour' | 'day' | 'week' | 'month', last: string, expected: [number, number][]) =>
    assert.deepEqual(
      flagsOf(notes, labels, interval, last).map((flag) => [flag.index, flag.notes.length]),
      expected,
      interval,
    );
  check(['2026-03-01', '2026-03-02', '2026-03-03'], 'day', '2026-03-03', [[0, 1], [1, 1]]);
  check(['2026-03-02', '2026-03-09'], 'week', '2026-03-15', [[0, 1], [1, 1]]);
  check(['2026-02-01', '2026-03-01'], 'month', '2026-03-18', [[1, 3]]);
  check(['2026-03-11 00:00:00', '2026-03-11 01:00:00'], 'hour', '2026-03-11', [[0, 1]]);
  check([], 'day', '2026-03-18', []);
});
