/** The view, its address, and the questions that it becomes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FilterClause } from '../src/api/types';
import { PANELS } from '../src/model/panels';
import { comparedTotalsQuery, listQuery, panelQuery, seriesQuery, totalsQuery } from '../src/model/questions';
import { DEFAULT_VIEW, readView, withNegated, without, withToggled, writeView, type View } from '../src/model/view';

const NOW = { today: '2026-03-18', time: '14:05', timezone: 'Europe/Moscow' };
const VIEW: View = { ...DEFAULT_VIEW, site: 'clinic' };

test('an address restores its view', () => {
  const filters: FilterClause[] = [
    ['is', 'visit:source', ['Yandex']],
    ['is_not', 'event:page', ['/a,b', 'c\\d', '/цены?x=1&y=2']],
    ['is', 'visit:country', ['']],
    ['contains', 'visit:city', ['Нижний #1']],
  ];
  const view: View = {
    site: 'clinic',
    period: '2026-01-01..2026-01-31',
    compare: 'year',
    metric: 'bounce_rate',
    interval: 'week',
    tabs: { places: 'city', sources: 'utm_medium' },
    filters,
    marked: true,
  };
  assert.deepEqual(readView(writeView(view)), view);
  assert.equal(writeView(DEFAULT_VIEW), '');
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
  assert.deepEqual(withNegated(once, 0).filters, [['is_not', 'visit:source', ['Yandex']]]);
  assert.deepEqual(withNegated(withNegated(once, 0), 0), once);
  assert.deepEqual(without(once, 0).filters, []);
  assert.deepEqual(VIEW.filters, []);
});

test('questions have the shape of the stats API', () => {
  const filtered = withToggled({ ...VIEW, period: '7d' }, 'visit:country', 'RU');
  const filters = [['is', 'visit:country', ['RU']]];
  const date_range = ['2026-03-12', '2026-03-18'];
  const headline = ['visitors', 'visits', 'pageviews', 'views_per_visit', 'bounce_rate', 'visit_duration'];
  assert.deepEqual(totalsQuery(filtered, NOW), { site_id: 'clinic', filters, date_range, metrics: headline });
  assert.deepEqual(comparedTotalsQuery(filtered, NOW), {
    site_id: 'clinic',
    filters,
    date_range: ['2026-03-05T00:00:00+03:00', '2026-03-11T14:05:00+03:00'],
    metrics: headline,
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
  assert.deepEqual(totalsQuery(marked, NOW).include, { bots: true });
  assert.deepEqual(seriesQuery(marked, NOW).include, { bots: true, time_labels: true });
  assert.equal(comparedTotalsQuery({ ...VIEW, compare: 'none' }, NOW), null);
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
