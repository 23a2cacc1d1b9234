/** Both languages say the same things, with right plurals, numbers and dates. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FilterClause } from '../src/api/types';
import { METRICS, type MetricName } from '../src/model/metrics';
import { DIMENSION_GROUPS, GOAL, SEGMENT } from '../src/model/dimensions';
import { DIMENSIONS, PANELS } from '../src/model/panels';
import { GUARDED_PERIOD_GROUPS, PERIOD_GROUPS } from '../src/model/period';
import { KEY_GROUPS } from '../src/model/shortcuts';
import { en, type Message } from '../src/words/en';
import { filterParts, labelOf } from '../src/words/labels';
import { pickLanguage, words } from '../src/words/language';
import { ru } from '../src/words/ru';
import { nameSegments } from '../src/words/segments';

const EN = words('en');
const RU = words('ru');

/** `Intl` separates by spaces that do not break; the tests read easier without. */
const plain = (text: string) => text.replace(/[\u00a0\u202f\u2009]/g, ' ');

function placeholders(message: Message): string {
  const texts = typeof message === 'string' ? [message] : Object.values(message);
  return [...new Set(texts.flatMap((text) => text.match(/\{\w+\}/g) ?? []))].sort().join();
}

test('both languages have the same keys and placeholders, and no empty text', () => {
  assert.deepEqual(Object.keys(ru).sort(), Object.keys(en).sort());
  for (const [key, message] of Object.entries(en) as [keyof typeof en, Message][]) {
    assert.equal(placeholders(ru[key]), placeholders(message), key);
    for (const each of [message, ru[key]]) {
      for (const text of typeof each === 'string' ? [each] : Object.values(each)) assert.notEqual(text.trim(), '', key);
    }
  }
});

test('every plural has all forms of its language', () => {
  for (const [language, messages] of [
    ['en', en],
    ['ru', ru],
  ] as const) {
    const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories.slice().sort();
    for (const [key, message] of Object.entries(messages as Record<string, Message>)) {
      if (typeof message !== 'string') assert.deepEqual(Object.keys(message).sort(), forms, `${language} ${key}`);
    }
  }
});

test('what is put together at run time has words', () => {
  const keys = [
    ...Object.keys(METRICS).map((metric) => `metric.${metric}`),
    ...PANELS.map((panel) => `panel.${panel.id}`),
    ...PANELS.flatMap((panel) =>
      panel.breakdowns.flatMap((each) => [`tab.${each.group ?? each.id}`, `tab.${each.id}`, `dimension.${each.id}`]),
    ),
    ...DIMENSION_GROUPS.flatMap((group) => [`panel.${group.id}`, ...group.dimensions.map((each) => `dimension.${each.id}`)]),
    ...KEY_GROUPS.flatMap((group) => [`keys.group_${group.id}`, ...group.keys.map((key) => `keys.${key.shortcut}`)]),
    ...['set_too_small', 'complement_too_small', 'too_many_filters', 'free_text', 'range'].map((why) => `guard.${why}`),
    ...[...PERIOD_GROUPS, ...GUARDED_PERIOD_GROUPS].flat()
      .filter((period) => !/^\d+d$/.test(period))
      .map((period) => `period.${period}`),
  ];
  for (const key of keys) for (const spoken of [EN, RU]) assert.ok(spoken.find(key), key);
  assert.equal(EN.find('metric.toString'), undefined);
  assert.equal(EN.find('__proto__'), undefined);
});

test('Russian counts visitors by its own rules', () => {
  const check = (count: number, expected: string) =>
    assert.equal(RU.t('live.visitors', { count, number: count }), expected);
  check(1, '1 посетитель сейчас');
  check(2, '2 посетителя сейчас');
  check(5, '5 посетителей сейчас');
  check(11, '11 посетителей сейчас');
  check(21, '21 посетитель сейчас');
  check(0, '0 посетителей сейчас');
});

test('numbers are written as people write them', () => {
  const check = (metric: MetricName, value: number | null, english: string, russian: string) => {
    assert.equal(plain(EN.format.metric(metric, value)), english);
    assert.equal(plain(RU.format.metric(metric, value)), russian);
  };
  check('visitors', 1234567, '1,234,567', '1 234 567');
  check('views_per_visit', 2.5, '2.5', '2,5');
  check('bounce_rate', 42, '42%', '42 %');
  check('visit_duration', 59.6, '1m 0s', '1 мин 0 с');
  check('visit_duration', 7322, '2h 2m', '2 ч 2 мин');
  check('visit_duration', 0, '0s', '0 с');
  check('bounce_rate', null, '—', '—');
  assert.equal(EN.format.short('visitors', 99_999), '99,999');
  assert.equal(EN.format.short('visitors', 128_400), '128.4K');
  assert.equal(plain(RU.format.short('visitors', 128_400)), '128,4 тыс.');
});

test('changes carry their sign', () => {
  const change = (by: number, unit: 'relative' | 'points') => ({ by, unit, direction: 'up', good: true }) as const;
  assert.equal(EN.format.change(change(0.123, 'relative')), '+12%');
  assert.equal(EN.format.change(change(-0.021, 'relative')), '−2.1%');
  assert.equal(plain(RU.format.change(change(-3.4, 'points'))), '−3,4 п. п.');
});

test('dates are those of the site, whatever the zone of the browser', () => {
  assert.match(EN.format.bucket('2026-03-01', 'day'), /Mar.* 1, 2026/);
  assert.match(RU.format.bucket('2026-03-01', 'day'), /1 марта 2026/);
  assert.match(EN.format.bucket('2026-03-01 23:00:00', 'hour'), /Mar 1, 23:00\s*–\s*00:00/);
  assert.match(plain(EN.format.bucket('2026-03-16', 'week')), /Mar 16 – 22, 2026/);
  assert.match(RU.format.bucket('2026-03-01', 'month'), /март 2026/);
});

test('codes and the words for nothing are translated, names are not', () => {
  const check = (dimension: string, value: string, english: string, russian: string) => {
    assert.equal(labelOf(EN, dimension, value), english);
    assert.equal(labelOf(RU, dimension, value), russian);
  };
  check('visit:country', 'RU', 'Russia', 'Россия');
  check('visit:country', '', 'Unknown', 'Неизвестно');
  check('visit:country', 'not a code', 'not a code', 'not a code');
  check('visit:source', 'Direct / None', 'Direct', 'Прямые заходы');
  check('visit:utm_source', '(not set)', 'Not set', 'Не указано');
  check('visit:device', 'mobile', 'Phone', 'Телефон');
  check('visit:channel', 'Search', 'Search engines', 'Поисковые системы');
  check('visit:screen', '480-767', '480–767 px', '480–767 px');
  check('event:mark', 'crowd', 'Too many from one address', 'Слишком много с одного адреса');
  check('event:mark', '(none)', 'Without a mark', 'Без пометки');
  check('visit:city', 'Yaroslavl', 'Yaroslavl', 'Yaroslavl');
  check('visit:language', 'ru', 'Russian', 'Русский');
  check('visit:language', '?', '?', '?');
  check('visit:consent', 'marketing', 'Statistics and marketing', 'Статистика и маркетинг');
  check('event:props:врач', 'Иванова', 'Иванова', 'Иванова');
  check(GOAL, 'Запись', 'Запись', 'Запись');
  check(SEGMENT, 's7', 's7', 's7');
  nameSegments([{ id: 's7', name: 'Москва' }]);
  check(SEGMENT, 's7', 'Москва', 'Москва');
  check('event:page', '(other)', 'Other', 'Прочее');
});

test('every filter can be said', () => {
  for (const dimension of DIMENSIONS.keys()) {
    for (const operator of ['is', 'is_not', 'contains', 'contains_not'] as const) {
      const filter: FilterClause = [operator, dimension, ['a', 'b']];
      for (const spoken of [EN, RU]) for (const part of filterParts(spoken, filter)) assert.notEqual(part, '');
    }
  }
});

test('the language is the chosen one, else the asked, else the browser’s', () => {
  assert.equal(pickLanguage('ru', 'en', ['en']), 'ru');
  assert.equal(pickLanguage(null, 'ru', ['en']), 'ru');
  assert.equal(pickLanguage(null, null, ['de-DE', 'ru-RU', 'en']), 'ru');
  assert.equal(pickLanguage(null, 'xx', ['de']), 'en');
});
