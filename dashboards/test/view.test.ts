/** The view, its address, and the questions that it becomes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FilterClause } from '../src/api/types';
import { chosenOf, MARKS, offeredOf, PANELS } from '../src/model/panels';
import { questionsOf } from '../src/export-all';
import {
  comparedSeriesQuery,
  listQuery,
  panelQuery,
  seriesQuery,
  suggestionsQuery,
  totalsQuery,
} from '../src/model/questions';
import { DEFAULT_VIEW, fitted, readView, withFilter, without, withToggled, writeView, type View } from '../src/model/view';

const NOW = { today: '2026-03-18', time: '14:05', timezone: 'Europe/Moscow' };
const VIEW: View = { ...DEFAULT_VIEW, site: 'clinic' };

test('an address restores its view', () => {
  const filters: FilterClause[] = [
    ['is', 'visit:source', ['Yandex']],
    ['is_not', 'event:page', ['/a,b', 'c\\d', '/цены?x=1&y=2']],
    ['is', 'visit:country', ['']],
    ['contains', 'visit:city', ['Нижний #1']],
    ['is', 'event:goal', ['Запись, приём']],
    ['is', 'segment', ['s1']],
    ['is', 'event:props:врач', ['Иванова']],
  ];
  const view: View = {
    site: 'clinic',
    period: '2026-01-01..2026-01-31',
    compare: 'year',
    weekdays: true,
    metric: 'bounce_rate',
    interval: 'week',
    tabs: { places: 'city', sources: 'utm_medium' },
    filters,
    marked: true,
  };
  assert.deepEqual(readView(writeView(view)), view);
  assert.equal(writeView(DEFAULT_VIEW), '');
  const own: View = { ...VIEW, compare: '2025-01-01..2025-01-31', metric: 'conversion_rate' };
  assert.deepEqual(readView(writeView(own)), own);
  assert.equal(
    writeView({ ...VIEW, period: '7d', filters: [['is', 'visit:source', ['Direct / None']]] }),
    '?site=clinic&period=7d&f=is,visit:source,Direct%20/%20None',
  );
});

test('what an address says wrongly is left out', () => {
  const wrong =
    '?period=forever&compare=x&metric=__proto__&by=minute&pages=city&f=is,visit:secret,1&f=matches,visit:city,.*&f=is&f=';
  assert.deepEqual(readView(wrong), DEFAULT_VIEW);
  const many = `?${'f=is,visit:city,A&'.repeat(100)}`;
  assert.equal(readView(many).filters.length, 12);
});

test('a click on a row filters by it, another takes it away', () => {
  const once = withToggled(VIEW, 'visit:source', 'Yandex');
  assert.deepEqual(once.filters, [['is', 'visit:source', ['Yandex']]]);
  assert.deepEqual(withToggled(once, 'visit:source', 'VK').filters, [['is', 'visit:source', ['VK']]]);
  assert.deepEqual(withToggled(once, 'visit:source', 'Yandex').filters, []);
  assert.deepEqual(withFilter(once, ['is_not', 'visit:source', ['Yandex']], 0).filters, [['is_not', 'visit:source', ['Yandex']]]);
  assert.equal(withFilter(once, ['contains', 'event:page', ['/a']], null).filters.length, 2);
  assert.deepEqual(without(once, 0).filters, []);
  assert.deepEqual(VIEW.filters, []);
});

test('questions have the shape of the stats API', () => {
  const filtered = withToggled({ ...VIEW, period: '7d' }, 'visit:country', 'RU');
  const filters = [['is', 'visit:country', ['RU']]];
  const date_range = ['2026-03-12', '2026-03-18'];
  const headline = ['visitors', 'visits', 'pageviews', 'views_per_visit', 'bounce_rate', 'visit_duration'];
  assert.deepEqual(totalsQuery(filtered, NOW), {
    site_id: 'clinic',
    filters,
    date_range,
    metrics: headline,
    include: {
      comparisons: { mode: 'custom', date_range: ['2026-03-05T00:00:00+03:00', '2026-03-11T14:05:00+03:00'] },
    },
  });
  assert.deepEqual(seriesQuery({ ...filtered, metric: 'visits' }, NOW), {
    site_id: 'clinic',
    filters,
    date_range,
    metrics: ['visits'],
    dimensions: ['time:day'],
    include: { time_labels: true },
  });
  const marked = { ...VIEW, marked: true };
  assert.deepEqual(totalsQuery({ ...marked, compare: 'none' }, NOW).include, { bots: true });
  assert.deepEqual(seriesQuery(marked, NOW).include, { bots: true, time_labels: true });
  assert.equal(totalsQuery({ ...VIEW, compare: 'none' }, NOW).include, undefined);
  assert.equal(comparedSeriesQuery({ ...VIEW, compare: 'none' }, NOW), null);
  assert.deepEqual(comparedSeriesQuery(filtered, NOW)?.date_range, ['2026-03-05', '2026-03-11']);
  assert.deepEqual(totalsQuery({ ...VIEW, period: 'all' }, NOW).date_range, 'all');
});

test('panels ask for one row more than they show, in a fixed order', () => {
  const pages = PANELS[0];
  const top = pages?.breakdowns[0];
  assert.ok(pages && top);
  assert.deepEqual(panelQuery({ ...VIEW, period: 'today' }, NOW, pages, top), {
    site_id: 'clinic',
    date_range: ['2026-03-18', '2026-03-18'],
    metrics: ['visitors', 'pageviews'],
    dimensions: ['event:page'],
    order_by: [
      ['visitors', 'desc'],
      ['event:page', 'asc'],
    ],
    pagination: { limit: 10, offset: 0 },
  });
  const list = listQuery(VIEW, NOW, top, 2, 'цен');
  assert.deepEqual(list.pagination, { limit: 101, offset: 200 });
  assert.deepEqual(list.filters, [['contains', 'event:page', ['цен'], { case_sensitive: false }]]);
});

test('no breakdown mixes numbers of visits with a property of single events', () => {
  const ofVisits = ['views_per_visit', 'bounce_rate', 'visit_duration'];
  for (const { breakdowns } of PANELS) {
    for (const { dimension, metrics, more = [] } of breakdowns) {
      if (!['event:name', 'event:ad', 'event:mark'].includes(dimension)) continue;
      assert.ok(![...metrics, ...more].some((metric) => ofVisits.includes(metric)), dimension);
    }
  }
});

test('a viewer asks whole units, three filters and nothing typed, whatever the link says', () => {
  const asked: View = {
    ...VIEW,
    period: '91d',
    compare: '2025-01-01..2025-01-31',
    weekdays: true,
    marked: true,
    filters: [
      ['contains', 'event:page', ['/a']],
      ['is', 'visit:source', ['Yandex']],
      ['is_not', 'visit:device', ['tablet']],
      ['is', 'visit:city', ['Moscow']],
      ['is', 'visit:country', ['RU']],
    ],
  };
  const fit = fitted(asked, { marked: false, guarded: true }, NOW.today);
  assert.equal(fit.period, 'month');
  assert.equal(fit.compare, 'previous');
  assert.equal(fit.marked, false);
  assert.deepEqual(
    fit.filters.map(([, dimension]) => dimension),
    ['visit:source', 'visit:device', 'visit:city'],
  );
  const guarded = { ...NOW, guarded: true };
  assert.deepEqual(totalsQuery(fit, guarded).date_range, ['2026-03-01', '2026-03-31']);
  assert.deepEqual(totalsQuery(fit, guarded).include?.comparisons?.date_range, ['2026-02-01', '2026-02-28']);
  assert.deepEqual(seriesQuery(fit, guarded).dimensions, ['time:day']);
  assert.deepEqual(fitted(asked, { marked: true, guarded: false }, NOW.today), asked);
});

test('a goal among the filters changes which numbers are shown', () => {
  const goal = withToggled({ ...VIEW, metric: 'bounce_rate' }, 'event:goal', 'Запись');
  const fit = fitted(goal, { marked: false, guarded: false }, NOW.today);
  assert.equal(fit.metric, 'visitors');
  assert.ok(totalsQuery(fit, NOW).metrics.includes('conversion_rate'));
  const sources = PANELS[1];
  const source = sources?.breakdowns[0];
  assert.ok(sources && source);
  assert.deepEqual(panelQuery(fit, NOW, sources, source).metrics, ['visitors', 'group_conversion_rate']);
});

test('versions, and pages of an ad block, are there once something is chosen', () => {
  const devices = PANELS.find((panel) => panel.id === 'devices');
  assert.ok(devices);
  const ids = (narrowed: string) => offeredOf(devices, (dimension) => dimension === narrowed).map(({ id }) => id);
  assert.ok(!ids('').includes('browser_version'));
  assert.ok(ids('visit:browser').includes('browser_version'));
  assert.equal(chosenOf(devices, { devices: 'browser_version' }, () => false)?.id, 'device');
  assert.equal(chosenOf(devices, { devices: 'browser_version' }, () => true)?.id, 'browser_version');
});

test('values are suggested under the other filters', () => {
  const view: View = {
    ...VIEW,
    filters: [
      ['is', 'visit:source', ['Yandex']],
      ['is', 'visit:device', ['mobile']],
    ],
  };
  assert.deepEqual(suggestionsQuery(view, NOW, 'visit:source', 'goo', 0).filters, [
    ['is', 'visit:device', ['mobile']],
    ['contains', 'visit:source', ['goo'], { case_sensitive: false }],
  ]);
});

test('a file of everything has each tab once, and fits one request', () => {
  const all = questionsOf(VIEW, NOW);
  assert.ok(all.length <= 32, String(all.length));
  const names = all.map(([name]) => name);
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(names.slice(0, 3), ['totals', 'series', 'pages.page']);
  assert.ok(!names.includes('places.map'));
  assert.ok(!names.some((name) => name.startsWith(MARKS)));
});
