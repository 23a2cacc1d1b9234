/** The panels beyond without their looks: what is asked, the flow, cohorts, segments, words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JourneysAnswer } from '../src/api/kept';
import { heat, shareOf, shareOfAll, weeksOf } from '../src/beyond/model/cohorts';
import { flat, same } from '../src/beyond/model/flat';
import { flowOf, MAX_ROWS, ribbon } from '../src/beyond/model/flow';
import { money } from '../src/beyond/model/money';
import { goalsQuery, journeysAsked, mondayOf, retentionAsked } from '../src/beyond/model/questions';
import { refusalOf } from '../src/beyond/parts/panel';
import { BEYOND } from '../src/beyond/words';
import { DEFAULT_VIEW, readView, writeView, type View } from '../src/model/view';
import { isShareAddress, linkSecret } from '../src/share/shared';
import { SHARE } from '../src/share/words';
import { en as commonEn } from '../src/words/en';
import { filterParts } from '../src/words/labels';
import { words } from '../src/words/language';
import { ownWords } from '../src/words/own';
import { nameSegments } from '../src/words/segments';
import { checkTable } from './tables';

const NOW = { today: '2026-11-26', time: '12:00', timezone: 'Europe/Moscow' };
const VIEW: View = { ...DEFAULT_VIEW, site: 'clinic', period: 'today', filters: [['is', 'visit:source', ['Yandex']]] };

test('goals are asked with the filters of the page, and money only where a goal has a currency', () => {
  const query = goalsQuery(VIEW, NOW, false);
  assert.deepEqual(query.metrics, ['visitors', 'events', 'conversion_rate']);
  assert.deepEqual([query.dimensions, query.filters, query.date_range], [
    ['event:goal'],
    VIEW.filters,
    ['2026-11-26', '2026-11-26'],
  ]);
  assert.equal(goalsQuery(VIEW, NOW, true).metrics.at(-1), 'total_revenue');
});

test('retention looks back whole weeks whatever the period, and keeps to the period where the guard wants one', () => {
  assert.deepEqual(retentionAsked(VIEW, NOW, 8).date_range, ['2026-10-05', '2026-11-26']);
  assert.deepEqual(retentionAsked(VIEW, NOW, 1).date_range, ['2026-11-23', '2026-11-26']);
  assert.deepEqual(retentionAsked(VIEW, NOW, null).date_range, ['2026-11-26', '2026-11-26']);
  for (const [day, monday] of [
    ['2026-11-23', '2026-11-23'],
    ['2026-11-29', '2026-11-23'],
    ['2026-01-01', '2025-12-29'],
  ] as const) {
    assert.equal(mondayOf(day), monday, day);
  }
});

test('a question about journeys names the page or none', () => {
  assert.equal(journeysAsked(VIEW, NOW, null).from, null);
  assert.equal(journeysAsked(VIEW, NOW, '/ceny').from, '/ceny');
});

test('the flow of a page is as wide as its visits on both sides, and every row has room for its text', () => {
  const answer: JourneysAnswer = {
    results: [
      { from: '/b', to: '/c', visits: 30 },
      { from: '/b', to: '/d', visits: 10 },
      { from: '/x', to: '/y', visits: 999 },
    ],
    meta: {
      before: [{ from: '/a', to: '/b', visits: 60 }],
      entries: [
        { page: '/b', visits: 40 },
        { page: '/a', visits: 500 },
      ],
      exits: [{ page: '/b', visits: 60 }],
    },
  };
  const flow = flowOf('/b', answer);
  const wide = (rows: typeof flow.before) => rows.reduce((sum, row) => sum + row.wide, 0);
  assert.deepEqual(flow.before.map((row) => [row.kind, row.page, row.visits]), [
    ['page', '/a', 60],
    ['entry', '', 40],
  ]);
  assert.deepEqual(flow.after.map((row) => [row.kind, row.page, row.visits]), [
    ['page', '/c', 30],
    ['page', '/d', 10],
    ['exit', '', 60],
  ]);
  assert.equal(Math.round(wide(flow.before)), flow.wide);
  assert.equal(Math.round(wide(flow.after)), flow.wide);
  for (const rows of [flow.before, flow.after]) {
    let end = 0;
    for (const row of rows) {
      assert.ok(row.top >= end - 1e-9 && row.height >= 32 && row.wide <= row.height + 1e-9, JSON.stringify(row));
      end = row.top + row.height;
    }
    assert.ok(end <= flow.height + 1e-9);
  }
  assert.match(ribbon(flow.before[0]!, 'before'), /^M0 [\d.]+C50 .*Z$/);
});

test('further pages of a flow become one row, and nothing at all makes no rows', () => {
  const results = Array.from({ length: MAX_ROWS + 3 }, (_, at) => ({ from: '/b', to: `/${at}`, visits: 100 - at }));
  const flow = flowOf('/b', { results, meta: {} });
  assert.equal(flow.after.length, MAX_ROWS + 1);
  assert.deepEqual(
    [flow.after.at(-1)?.kind, flow.after.at(-1)?.visits],
    ['rest', results.slice(MAX_ROWS).reduce((sum, step) => sum + step.visits, 0)],
  );
  assert.deepEqual(flowOf('/b', { results: [], meta: {} }).after, []);
  // A withheld number is no visit that could be drawn.
  assert.equal(flowOf('/b', { results: [{ from: '/b', to: '/c', visits: null }], meta: {} }).after[0]?.wide, 0);
});

test('shares of cohorts are of people, and what is withheld or to come is no zero', () => {
  const cohorts = [
    { week: '2026-11-02', visitors: 100, returned: [100, 20, 10] },
    { week: '2026-11-09', visitors: 300, returned: [300, 30] },
    { week: '2026-11-16', visitors: null, returned: [null] },
  ];
  assert.equal(shareOf(cohorts[0]!, 1), 0.2);
  assert.equal(shareOf(cohorts[1]!, 2), undefined);
  assert.equal(shareOf(cohorts[2]!, 0), null);
  assert.equal(shareOfAll(cohorts, 1), 50 / 400);
  assert.equal(shareOfAll(cohorts, 2), 0.1);
  assert.equal(shareOfAll(cohorts, 9), null);
  assert.equal(weeksOf(cohorts), 2);
  assert.equal(weeksOf([]), 0);
  assert.deepEqual([heat(0.2, 0.2), heat(null, 0.2), heat(0, 0), heat(0.1, 0.2)], [46, 0, 0, 23]);
});

test('money is read as a number or with its currency', () => {
  assert.deepEqual(money({ value: 4800, currency: 'RUB', short: '₽4.8K', long: '₽4,800' }), { value: 4800, currency: 'RUB' });
  assert.deepEqual(money({ value: '12.50', currency: 'EUR' }), { value: 12.5, currency: 'EUR' });
  assert.deepEqual(money(3), { value: 3, currency: '' });
  for (const nothing of [null, undefined, 'x', { value: 'x' }, {}]) assert.equal(money(nothing), null);
});

test('a segment whose filters the address can hold becomes them, another one stays itself', () => {
  const simple = [['is', 'visit:source', ['Yandex']], ['is_not', 'visit:device', ['tv']]] as const;
  assert.equal(flat(simple), simple);
  assert.deepEqual(flat([]), []);
  for (const nested of [
    [['or', [['is', 'visit:city', ['Moscow']]]]],
    [['has_done', ['is', 'event:goal', ['Запись']]]],
    [['is', 'visit:source', ['a'], { case_sensitive: false }]],
    [['is', 'no:such', ['a']]],
    [['is', 'visit:source', []]],
  ]) {
    assert.equal(flat(nested), null, JSON.stringify(nested));
  }
  assert.ok(same(simple, [...simple].reverse()));
  assert.ok(!same(simple, simple.slice(1)));
});

test('filters by goal and by segment are in the address, and are said by name', () => {
  const view: View = { ...VIEW, filters: [['is', 'event:goal', ['Запись, первая']], ['is', 'segment', ['s7']]] };
  assert.deepEqual(readView(writeView(view)).filters, view.filters);
  nameSegments([{ id: 's7', name: 'С телефона' }]);
  const ru = words('ru');
  assert.deepEqual(filterParts(ru, view.filters[0]!), ['Цель', '—', 'Запись, первая']);
  assert.deepEqual(filterParts(ru, view.filters[1]!), ['Сегмент', '—', 'С телефона']);
  nameSegments([]);
  assert.equal(filterParts(ru, view.filters[1]!)[2], 's7');
});

test('a refusal of the guard is said in words, also one that is not known', () => {
  const en = ownWords(BEYOND, 'en');
  const ru = ownWords(BEYOND, 'ru');
  assert.equal(refusalOf(en, {}), null);
  assert.equal(refusalOf(en, { guard: { k: 10, refused: null } }), null);
  for (const refused of ['set_too_small', 'complement_too_small', 'too_many_filters', 'free_text', 'range', 'new_kind']) {
    for (const spoken of [en, ru]) {
      const text = refusalOf(spoken, { guard: { k: 10, refused } }) ?? '';
      assert.ok(text.length > 20 && !text.includes('{'), `${refused}: ${text}`);
    }
  }
  assert.match(refusalOf(ru, { guard: { k: 10, refused: 'set_too_small' } }) ?? '', /меньше 10 человек/);
});

test('the secret of a shared link is read from the path alone', () => {
  for (const [path, secret] of [
    ['/share/AbC_d-123456', 'AbC_d-123456'],
    ['/share/AbC_d-123456/', 'AbC_d-123456'],
    ['/share/short', ''],
    ['/share/', ''],
    ['/share/a/b', ''],
    ['/share/%3Cscript%3E1234', ''],
    ['/', ''],
  ] as const) {
    assert.equal(linkSecret(path), secret, path);
  }
  assert.ok(isShareAddress('/share/short') && isShareAddress('/share') && !isShareAddress('/shared') && !isShareAddress('/'));
});

test('both languages of the parts have the same keys and placeholders, all forms, and nothing of the common table', () => {
  for (const [name, table] of Object.entries({ BEYOND, SHARE })) checkTable(name, table, commonEn);
});
