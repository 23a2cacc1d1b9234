/** The settings and people without their looks: places, forms, roles, words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormProblem } from '../src/officer/model/forms';
import { madeUp, readPlace as peoplePlace, ROLES, SECTIONS as PEOPLE_SECTIONS, writePlace as writePeople } from '../src/people-page/model';
import { PEOPLE } from '../src/people-page/words';
import { mayChange, type Here } from '../src/settings-page/here';
import { aimText } from '../src/settings-page/model/aim';
import { EVERY, funnelOf, goalOf, GOAL_KINDS, linkOf, moved, noteOf, reportOf } from '../src/settings-page/model/forms';
import { readPlace, SECTIONS, sectionsOf, writePlace } from '../src/settings-page/model/place';
import { formWords, SETTINGS } from '../src/settings-page/words';
import { PLACEHOLDER, snippetOf } from '../src/model/snippet';
import { en as officeEn } from '../src/officer/words/en';
import { en as commonEn } from '../src/words/en';
import { checkTable } from './tables';

const OWNER = { login: 'owner', role: 'owner' };
const VIEWER = { login: 'olga', role: 'viewer' };
const NOW = Date.parse('2026-11-26T09:00:00Z');

function refused(deed: () => unknown, field: string, key: FormProblem['key']): void {
  assert.throws(deed, (error) => error instanceof FormProblem && error.field === field && error.key === key);
}

test('the address says the section and the thing, for the sections that a role may see', () => {
  for (const section of SECTIONS) {
    assert.deepEqual(readPlace(writePlace(section, 'new'), OWNER), { section, item: 'new' });
  }
  assert.deepEqual(readPlace('#goals/g12', OWNER), { section: 'goals', item: 'g12' });
  assert.deepEqual(readPlace('#goals/<script>', OWNER), { section: 'goals', item: '' });
  assert.deepEqual(readPlace('#links/new', VIEWER), { section: 'goals', item: '' });
  assert.deepEqual(readPlace('', OWNER), { section: 'goals', item: '' });
  assert.deepEqual(sectionsOf(VIEWER), ['goals', 'funnels', 'segments', 'notes', 'embed']);
});

test('a goal is what the form says, by its kind', () => {
  const cases: [Record<string, string>, unknown][] = [
    [{ kind: 'event', name: ' Запись ', value: 'zapis', currency: '' }, { name: 'Запись', kind: 'event', value: 'zapis' }],
    [
      { kind: 'event', name: 'Оплата', value: 'oplata', currency: 'RUB' },
      { name: 'Оплата', kind: 'event', value: 'oplata', currency: 'RUB' },
    ],
    [{ kind: 'page', name: 'Цены', value: 'ceny' }, { name: 'Цены', kind: 'page', value: '/ceny' }],
    [{ kind: 'page', name: 'Все', value: '**' }, { name: 'Все', kind: 'page', value: '**' }],
    [
      { kind: 'scroll', name: 'Чтение', value: '/blog/*', percent: '75' },
      { name: 'Чтение', kind: 'scroll', value: '/blog/*', percent: 75 },
    ],
    [{ kind: 'ad_click', name: 'Баннер', value: '' }, { name: 'Баннер', kind: 'ad_click', value: '' }],
  ];
  for (const [typed, goal] of cases) assert.deepEqual(goalOf(typed, undefined), goal);
  assert.equal(goalOf(cases[0]![0], 'g3').id, 'g3');
  refused(() => goalOf({ kind: 'event', name: 'x', value: ' ' }, undefined), 'value', 'form.empty');
  refused(() => goalOf({ kind: 'page', name: '', value: '/x' }, undefined), 'name', 'form.empty');
});

test('a funnel has at least two steps, and steps move by one and stay at the ends', () => {
  assert.deepEqual(funnelOf({ name: 'Приём' }, ['g1', 'g2'], 'f3'), { id: 'f3', name: 'Приём', steps: ['g1', 'g2'] });
  refused(() => funnelOf({ name: 'x' }, ['g1'], undefined), 'step', 'form.steps');
  assert.deepEqual(moved(['a', 'b', 'c'], 1, -1), ['b', 'a', 'c']);
  assert.deepEqual(moved(['a', 'b', 'c'], 1, 1), ['a', 'c', 'b']);
  assert.deepEqual(moved(['a', 'b'], 0, -1), ['a', 'b']);
  assert.deepEqual(moved(['a', 'b'], 1, 1), ['a', 'b']);
});

test('a link ends after its days and holds the filters of a segment and those by hand', () => {
  const link = linkOf(
    { name: 'Агентство', days: '30' },
    [['is', 'visit:device', ['mobile']]],
    [{ dimension: 'visit:utm_campaign', operator: 'is', value: ' spring ' }],
    NOW,
  );
  assert.deepEqual(link, {
    name: 'Агентство',
    expires: NOW + 30 * 86_400_000,
    filters: [
      ['is', 'visit:device', ['mobile']],
      ['is', 'visit:utm_campaign', ['spring']],
    ],
  });
  assert.deepEqual(linkOf({ name: 'x', days: '' }, [], [], NOW), { name: 'x', expires: null, filters: [] });
  const empty = [{ dimension: 'visit:source', operator: 'is', value: ' ' }] as const;
  refused(() => linkOf({ name: 'x', days: '' }, [], empty, NOW), 'value-0', 'form.empty');
});

test('a report has addresses, each once', () => {
  const typed = { to: 'a@clinic.example, b@clinic.example\na@clinic.example;', every: 'week', language: 'ru' };
  assert.deepEqual(reportOf(typed, 'r4'), {
    id: 'r4',
    to: ['a@clinic.example', 'b@clinic.example'],
    every: 'week',
    language: 'ru',
  });
  for (const to of ['a', 'a@b', 'a@clinic.example b', '@clinic.example']) {
    refused(() => reportOf({ ...typed, to }, undefined), 'to', 'form.address');
  }
  refused(() => reportOf({ ...typed, to: ' ' }, undefined), 'to', 'form.empty');
});

test('a note has a day and a text', () => {
  assert.deepEqual(noteOf({ day: '2026-11-26', text: ' Реклама ' }, undefined), { day: '2026-11-26', text: 'Реклама' });
  refused(() => noteOf({ day: '2026-11-26', text: '' }, undefined), 'text', 'form.empty');
});

test('the owner changes all segments and notes, the others their own', () => {
  const here = (session: typeof OWNER | { login: null; role: string }): Here =>
    ({ session, owner: session.role === 'owner' }) as Here;
  assert.ok(mayChange(here(OWNER), { by: 'olga' }));
  assert.ok(mayChange(here(VIEWER), { by: 'olga' }));
  assert.ok(!mayChange(here(VIEWER), { by: 'owner' }));
  assert.ok(!mayChange(here({ login: null, role: 'viewer' }), { by: 'owner' }));
});

test('a made-up password is fair, long, and new each time', () => {
  assert.match(madeUp(), /^[a-hj-km-np-z2-9]{5}(-[a-hj-km-np-z2-9]{5}){3}$/);
  assert.notEqual(madeUp(), madeUp());
  // Bytes that would favour some letters are thrown away, here at first all of them.
  let call = 0;
  const text = madeUp((bytes) => bytes.fill((call += 1) === 1 ? 255 : 0));
  assert.equal(call, 2);
  assert.equal(text, 'aaaaa-aaaaa-aaaaa-aaaaa');
});

test('the page of people knows its places', () => {
  for (const section of PEOPLE_SECTIONS) assert.equal(peoplePlace(writePeople(section)).section, section);
  assert.deepEqual(peoplePlace('#tokens/new'), { section: 'tokens', fresh: true });
  assert.deepEqual(peoplePlace('#roles/new'), { section: 'roles', fresh: false });
  assert.deepEqual(peoplePlace('#nowhere/new'), { section: 'people', fresh: false });
});

test('the line to embed names the site and its collector, or says that it does not know it', () => {
  const site = { id: 'clinic', timezone: 'UTC', hosts: [] };
  const known = snippetOf({ ...site, collect_url: 'https://stats.clinic.example/' });
  assert.equal(known.script, '<script defer src="https://stats.clinic.example/pixel.js" data-site="clinic"></script>');
  assert.ok(!known.unfinished);
  assert.ok(snippetOf(site).unfinished && snippetOf(site).image.includes(`${PLACEHOLDER}/pixel.gif?s=clinic`));
});

test('aims are said in both languages', () => {
  const [en, ru] = [formWords(SETTINGS, 'en'), formWords(SETTINGS, 'ru')];
  assert.equal(aimText(en, { kind: 'event', value: 'zapis', currency: 'RUB' }), 'event zapis, revenue in RUB');
  assert.equal(aimText(ru, { kind: 'page', value: '/ceny' }), 'страница /ceny');
  assert.equal(aimText(ru, { kind: 'scroll', value: '/b', percent: 75 }).replace(/\s/g, ' '), 'страница /b, глубина 75 %');
  assert.equal(aimText(en, { kind: 'ad_click', value: '' }), 'a click on any ad block');
});

test('both languages have the same keys and placeholders, all forms, and what is put together has words', () => {
  for (const [name, table] of Object.entries({ SETTINGS, PEOPLE })) checkTable(name, table, { ...commonEn, ...officeEn });
  for (const language of ['en', 'ru'] as const) {
    const [settings, people] = [formWords(SETTINGS, language), formWords(PEOPLE, language)];
    const keys = [
      ...SECTIONS.map((each) => `section.${each}`),
      ...GOAL_KINDS.flatMap((each) => [`kind.${each}`, `kind.${each}_about`]),
      ...EVERY.flatMap((each) => [`every.${each}`, `every.${each}_about`]),
    ];
    for (const key of keys) assert.ok(settings.find(key), key);
    for (const role of ROLES) for (const key of [`role.${role}`, `role.${role}_about`]) assert.ok(people.find(key), key);
    for (const section of PEOPLE_SECTIONS) assert.ok(people.find(`section.${section}`), section);
  }
});
