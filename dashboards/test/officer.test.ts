/** The officer's page without its looks: what is typed, how urgent it is, how it is said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  INCIDENT_KINDS,
  INCIDENT_STEPS,
  RECIPIENT_KINDS,
  REQUEST_KINDS,
  REQUEST_STATES,
  type Clock,
  type Request,
} from '../src/api/officer';
import { ApiError } from '../src/api/client';
import { AUDIT_ACTIONS, AUDIT_PURPOSES } from '../src/officer/model/actions';
import { byUrgency, clockState, remaining, running, urgencyOf } from '../src/officer/model/due';
import { DISCLOSED_FIELDS, IDENTIFYING_FIELDS, RECTIFIED_FIELDS, USUAL_FIELDS } from '../src/officer/model/fields';
import {
  askedOf,
  bytes,
  cookieValue,
  disclosureOf,
  FormProblem,
  incidentOf,
  JOB_NAMES,
  keysOf,
  MAX_KEYS,
  newRequestOf,
  whoOf,
  WHO_WAYS,
  type Typed,
} from '../src/officer/model/forms';
import { readPlace, SECTIONS, writePlace } from '../src/officer/model/place';
import { problemOf } from '../src/officer/parts/deed';
import { officeWords } from '../src/officer/words';
import { en } from '../src/officer/words/en';
import { ru } from '../src/officer/words/ru';
import { en as commonEn, type Message } from '../src/words/en';

const ZONE = 'Europe/Moscow';
const HOUR = 3_600_000;
const NOW = Date.parse('2026-11-26T09:00:00Z');
const EN = officeWords('en');
const RU = officeWords('ru');

/** `Intl` separates by spaces that do not break; the tests read easier without. */
const plain = (text: string) => text.replace(/[\u00a0\u202f\u2009]/g, ' ');

const clock = (hours: number, done: number | null = null): Clock => ({
  name: 'first_notice',
  hours: 24,
  due: NOW + hours * HOUR,
  done,
  late: false,
  article: '',
});

function request(number: string, more: Partial<Request>): Request {
  const due = {
    date: '2026-12-01',
    ends: NOW,
    term: '10 working days',
    article: '',
    counted_by: '',
    holidays: 'known',
  } as const;
  return {
    number,
    site: 'clinic',
    kind: 'access',
    about: null,
    identified: 'other',
    subjects: [],
    received: 0,
    law: 'russian',
    zone: ZONE,
    due,
    first_step: null,
    extension: null,
    state: 'open',
    purpose: '',
    answer: '',
    closed: null,
    history: [],
    acts: [],
    due_date: due.date,
    next_due_date: due.date,
    overdue: false,
    calendar_known: true,
    ...more,
  };
}

function refused(act: () => unknown, field: string, key: FormProblem['key']): void {
  assert.throws(act, (error) => error instanceof FormProblem && error.field === field && error.key === key);
}

test('time that is left and time that is lost are told in both languages', () => {
  const check = (hours: number, english: string, russian: string) => {
    const left = remaining(NOW + hours * HOUR, NOW);
    assert.equal(plain(EN.remaining(left)), english);
    assert.equal(plain(RU.remaining(left)), russian);
  };
  check(26, '1 day 2 h left', 'осталось 1 день 2 ч');
  check(48, '2 days left', 'осталось 2 дня');
  check(24 * 5 + 1, '5 days 1 h left', 'осталось 5 дней 1 ч');
  check(3.5, '3 h 30 min left', 'осталось 3 ч 30 мин');
  check(2, '2 h left', 'осталось 2 ч');
  check(0.01, '1 min left', 'осталось 1 мин');
  check(0, 'late by 0 min', 'просрочено на 0 мин');
  check(-0.5, 'late by 30 min', 'просрочено на 30 мин');
  check(-21 * 24, 'late by 21 days', 'просрочено на 21 день');
});

test('a clock runs, is late, or was stopped in time or after', () => {
  assert.equal(clockState(clock(1), NOW), 'running');
  assert.equal(clockState(clock(0), NOW), 'late');
  assert.equal(clockState({ ...clock(1), late: true }, NOW), 'late');
  assert.equal(clockState(clock(1, NOW), NOW), 'done');
  assert.equal(clockState(clock(-1, NOW), NOW), 'done-late');
  const incident = { state: 'open', clocks: [clock(72), clock(24), clock(1, NOW)] } as never;
  assert.deepEqual(running(incident).map((each) => each.due), [NOW + 24 * HOUR, NOW + 72 * HOUR]);
  assert.deepEqual(running({ state: 'closed', clocks: [clock(24)] } as never), []);
});

test('requests are judged by the register and listed by urgency', () => {
  const attention = { open: 2, overdue: ['2026-0002'], due_within_2_working_days: ['2026-0003'] };
  const late = request('2026-0002', { overdue: true, next_due_date: '2026-11-01' });
  const soon = request('2026-0003', { next_due_date: '2026-11-27' });
  const calm = request('2026-0001', {});
  const done = request('2026-0004', { state: 'done', next_due_date: null });
  const earlier = request('2026-0000', { state: 'refused', next_due_date: null });
  assert.deepEqual(
    [late, soon, calm, done, earlier].map((each) => urgencyOf(each, attention)),
    ['overdue', 'soon', 'open', 'done', 'refused'],
  );
  assert.equal(urgencyOf(soon, null), 'open');
  assert.deepEqual(byUrgency([earlier, calm, done, soon, late]), [late, soon, calm, done, earlier]);
});

test('an address restores its place, and holds numbers and names only', () => {
  for (const section of SECTIONS) {
    for (const item of ['', 'new', '2026-0001', 'I-2026-0001', 'D-2026-123456']) {
      assert.deepEqual(readPlace(writePlace(section, item)), { section, item });
    }
  }
  const overview = { section: 'overview', item: '' };
  for (const wrong of ['', '#', '#nothing', '#__proto__/new', '#nothing/2026-0001']) {
    assert.deepEqual(readPlace(wrong), overview, wrong);
  }
  assert.deepEqual(readPlace('#requests/v1.1.20260101.abc'), { section: 'requests', item: '' });
});

test('who is meant is taken from one field of the form', () => {
  const check = (typed: Typed, expected: unknown, number?: string) =>
    assert.deepEqual(whoOf(typed, ZONE, number), expected);
  check({ who: 'cookie', cookie: ' v1.2.3 ', user: 'other' }, { cookie: 'v1.2.3' });
  check({ who: 'user', user: 'patient-7' }, { user: 'patient-7' });
  check(
    { who: 'address', ip: '192.0.2.1', address_from: '2026-11-01T10:00', address_to: '2026-11-01T12:30' },
    { address: { ip: '192.0.2.1', from: '2026-11-01T10:00:00+03:00', to: '2026-11-01T12:30:00+03:00' } },
  );
  check({ who: 'request' }, { request: '2026-0001' }, '2026-0001');
  check({ who: 'request' }, null);
  check({ who: 'nobody' }, null);
  refused(() => whoOf({ who: 'cookie', cookie: ' ' }, ZONE), 'cookie', 'form.empty');
  const order = { who: 'address', ip: '192.0.2.1', address_from: '2026-11-01T10:00', address_to: '2026-11-01T10:00' };
  refused(() => whoOf(order, ZONE), 'address_to', 'form.order');
});

test('a cookie that was copied with its name is its value', () => {
  for (const text of ['v1.7.20261126.ab.cd', ' metka=v1.7.20261126.ab.cd; ', 'metka=v1.7.20261126.ab.cd']) {
    assert.equal(cookieValue(text), 'v1.7.20261126.ab.cd');
  }
  assert.equal(cookieValue('a=b; c=d'), 'a=b; c=d');
});

test('forms become what the server takes', () => {
  assert.deepEqual(
    newRequestOf({ site: 'clinic', kind: 'access', about: 'erase', who: 'nobody', received: '', purpose: ' ' }, ZONE),
    { site: 'clinic', kind: 'access', who: null },
  );
  assert.deepEqual(
    newRequestOf(
      { site: 'clinic', kind: 'claim', about: 'rectify', who: 'user', user: 'k', received: '2026-11-02T09:15', purpose: 'a\nb' },
      ZONE,
    ),
    {
      site: 'clinic',
      kind: 'claim',
      about: 'rectify',
      who: { user: 'k' },
      received: '2026-11-02T09:15:00+03:00',
      purpose: 'a\nb',
    },
  );
  const base = { site: 'clinic', who: 'request', purpose: 'answer\n to  it' };
  const asked = { site: 'clinic', who: { request: '2026-0001' }, purpose: 'answer to it', request: '2026-0001' };
  for (const job of ['find', 'block', 'unblock', 'erase', 'withdraw_marketing', 'opt_out'] as const) {
    assert.deepEqual(askedOf({ ...base, job }, ZONE, '2026-0001'), { ...asked, job });
  }
  assert.deepEqual(askedOf({ ...base, job: 'export', format: 'csv' }, ZONE, '2026-0001').job, { export: 'csv' });
  assert.deepEqual(askedOf({ ...base, job: 'rectify', field: 'city', value: '' }, ZONE, '2026-0001').job, {
    rectify: { field: 'city', value: '' },
  });
  assert.deepEqual(
    askedOf({ ...base, job: 'rectify', field: 'props', property: 'doctor', value: 'x' }, ZONE, '2026-0001').job,
    { rectify: { field: 'props.doctor', value: 'x' } },
  );
  assert.deepEqual(
    askedOf({ ...base, job: 'rectify', field: 'city', value: 'Tver', rectify_from: '2026-11-02T00:00' }, ZONE, '2026-0001')
      .job,
    { rectify: { field: 'city', value: 'Tver', from: '2026-11-02T00:00:00+03:00' } },
  );
  refused(() => askedOf({ ...base, purpose: '', job: 'find' }, ZONE, '2026-0001'), 'purpose', 'form.empty');
  refused(() => askedOf({ ...base, job: 'find' }, ZONE), 'who', 'form.empty');
});

test('a disclosure is about one person or about chosen fields of a range', () => {
  const head = { site: 'clinic', recipient: 'Court', recipient_kind: 'court', basis: 'order 1', purpose: 'case' };
  assert.deepEqual(disclosureOf({ ...head, scope: 'person', who: 'request', request: '2026-0001', format: 'json' }, ZONE), {
    ...head,
    scope: { person: { request: '2026-0001' } },
    format: 'json',
    request: '2026-0001',
  });
  const range = { ...head, scope: 'range', range_from: '2026-11-01T00:00', range_to: '2026-11-02T00:00', format: 'csv' };
  assert.deepEqual(disclosureOf({ ...range, fields: 'time\npath', request: '' }, ZONE), {
    ...head,
    scope: { range: { from: '2026-11-01T00:00:00+03:00', to: '2026-11-02T00:00:00+03:00', fields: ['time', 'path'] } },
    format: 'csv',
  });
  refused(() => disclosureOf(range, ZONE), 'fields', 'form.fields');
  refused(() => disclosureOf({ ...head, scope: 'person', who: 'request', format: 'json' }, ZONE), 'request', 'form.empty');
});

test('an incident has a range, and the moment when it was found out', () => {
  const typed = { site: 'clinic', kind: 'loss', from: '2026-11-01T00:00', to: '2026-11-02T00:00', what: 'a  disk' };
  const expected = {
    site: 'clinic',
    kind: 'loss',
    from: '2026-11-01T00:00:00+03:00',
    to: '2026-11-02T00:00:00+03:00',
    what: 'a disk',
  };
  assert.deepEqual(incidentOf(typed, ZONE), expected);
  assert.deepEqual(incidentOf({ ...typed, detected: '2026-11-03T08:00' }, ZONE), {
    ...expected,
    detected: '2026-11-03T08:00:00+03:00',
  });
  refused(() => incidentOf({ ...typed, to: 'soon' }, ZONE), 'to', 'form.moment');
});

test('a list of user keys is cleaned and bounded', () => {
  assert.deepEqual(keysOf('a\r\n b ,c;a\n\n'), ['a', 'b', 'c']);
  refused(() => keysOf(' \n'), 'keys', 'form.empty');
  const many = (count: number, width: number) =>
    Array.from({ length: count }, (_, index) => String(index).padStart(width, 'k')).join('\n');
  assert.equal(keysOf(many(MAX_KEYS, 8)).length, MAX_KEYS);
  refused(() => keysOf(many(MAX_KEYS + 1, 8)), 'keys', 'form.long');
  refused(() => keysOf(many(MAX_KEYS, 128)), 'keys', 'form.long');
});

test('what was not done is told in the language of the reader, and the server is quoted where it says more', () => {
  const check = (status: number, kind: ApiError['kind'], detail: string, english: string, russian: string) => {
    const error = new ApiError(kind, status, detail);
    assert.deepEqual([problemOf(EN, error), problemOf(RU, error)], [english, russian], detail);
  };
  check(403, 'forbidden', '', 'Your role does not allow this.', 'Ваша роль этого не позволяет.');
  check(
    403,
    'forbidden',
    'this needs the role officer or owner',
    'Your role does not allow this. It takes the role officer or owner.',
    'Ваша роль этого не позволяет. Нужна роль officer или owner.',
  );
  check(
    403,
    'forbidden',
    'goals need the role owner',
    'Your role does not allow this. It takes the role owner.',
    'Ваша роль этого не позволяет. Нужна роль owner.',
  );
  // It is not the role that is wrong.
  check(403, 'forbidden', 'the current password is wrong', 'The current password is wrong.', 'Текущий пароль указан неверно.');
  check(
    403,
    'forbidden',
    'the note 7f was made by somebody else',
    'Somebody else made this: only they and an owner can change it.',
    'Это сделал другой человек: изменить может только он или владелец.',
  );
  check(
    403,
    'forbidden',
    'the request comes from another site',
    'The server took this for a request of another site.',
    'Сервер счёл этот запрос чужим: он пришёл не с адреса сервера.',
  );
  const unknown = new ApiError('forbidden', 403, 'not on a Sunday');
  assert.equal(problemOf(RU, unknown, () => 'не в воскресенье'), 'Ваша роль этого не позволяет. Ответ сервера: не в воскресенье');
  assert.equal(problemOf(RU, unknown), 'Ваша роль этого не позволяет. Ответ сервера: not on a Sunday');
  check(401, 'signed-out', 'sign in, or send a token', 'You are signed out.', 'Вы вышли из системы.');
  check(503, 'busy', '', 'The server is busy or still starting. Try again in a moment.', 'Сервер занят или ещё запускается. Попробуйте чуть позже.');
  check(0, 'offline', '', 'The server cannot be reached. Check the connection.', 'Сервер недоступен. Проверьте соединение.');
});

test('lengths are counted as the server counts them', () => {
  assert.equal(bytes('abc'), 3);
  assert.equal(bytes('абв'), 6);
});

test('both languages have the same keys and placeholders, all forms, and nothing of the other table', () => {
  const texts = (message: Message) => (typeof message === 'string' ? [message] : Object.values(message));
  const placeholders = (message: Message) =>
    [...new Set(texts(message).flatMap((text) => text.match(/\{\w+\}/g) ?? []))].sort().join();
  assert.deepEqual(Object.keys(ru).sort(), Object.keys(en).sort());
  for (const [key, message] of Object.entries(en) as [keyof typeof en, Message][]) {
    assert.equal(placeholders(ru[key]), placeholders(message), key);
    assert.equal(Object.hasOwn(commonEn, key), false, key);
    for (const text of [...texts(message), ...texts(ru[key])]) assert.notEqual(text.trim(), '', key);
  }
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
    ...SECTIONS.map((each) => `section.${each}`),
    ...REQUEST_KINDS.map((each) => `kind.${each}`),
    ...REQUEST_STATES.map((each) => `state.${each}`),
    ...RECIPIENT_KINDS.map((each) => `recipient.${each}`),
    ...INCIDENT_KINDS.map((each) => `incident.${each}`),
    ...INCIDENT_STEPS.map((each) => `step.${each}`),
    ...AUDIT_ACTIONS.map((each) => `action.${each}`),
    ...AUDIT_PURPOSES.map((each) => `purpose.${each}`),
    ...[...DISCLOSED_FIELDS, ...IDENTIFYING_FIELDS, ...RECTIFIED_FIELDS, ...USUAL_FIELDS].map((each) => `field.${each}`),
    ...WHO_WAYS.map((each) => `who.${each}`),
    ...JOB_NAMES.flatMap((each) => [`job.${each}`, `job.${each}_about`, `result.done_${each}`]),
    ...['raw', 'ip', 'city', 'user_key', 'props', 'refusals'].map((each) => `data.${each}`),
  ];
  for (const key of keys) for (const spoken of [EN, RU]) assert.ok(spoken.find(key), key);
});

test('Russian counts by its own rules', () => {
  const check = (count: number, expected: string) =>
    assert.equal(RU.t('overview.overdue', { count, number: count }), expected);
  check(1, 'Просрочено 1 обращение');
  check(3, 'Просрочено 3 обращения');
  check(11, 'Просрочено 11 обращений');
  check(22, 'Просрочено 22 обращения');
});

test('terms, articles and histories are said as Russian officers write them', () => {
  const check = (english: string, russian: string) => {
    assert.equal(RU.law(english), russian);
    assert.equal(EN.law(english), english);
  };
  check('10 working days', '10 рабочих дней');
  check('3 working days', '3 рабочих дня');
  check('30 days', '30 дней');
  check('1 month and 2 months', '1 месяц и ещё 2 месяца');
  check('at once', 'незамедлительно');
  check('152-FZ art. 14(3), 20(1)', 'ч. 3 ст. 14, ч. 1 ст. 20 152-ФЗ');
  check('152-FZ art. 21(3.1)', 'ч. 3.1 ст. 21 152-ФЗ');
  check('152-FZ art. 21(3), shorter than 21(5)', 'ч. 3 ст. 21 152-ФЗ (короче, чем по ч. 5 ст. 21)');
  check('152-FZ art. 21(5); term set by the operator', 'ч. 5 ст. 21 152-ФЗ; срок установлен оператором');
  check('policy clause 8.2', 'п. 8.2 политики');
  check('Civil Code art. 191, 193', 'ст. 191, ст. 193 ГК РФ');
  check('GDPR art. 12(3)', 'п. 3 ст. 12 GDPR');
  check('extended until 2026-12-10', 'срок продлён до 10.12.2026');
  check('looked for: 21 rows are held', 'поиск: хранится 21 запись');
  check('erased: 14 rows', 'уничтожено: 14 записей');
  check('closed: refused', 'закрыто: отказано');
  check('city rectified: 3 rows changed', 'уточнено поле город: 3 записи');
  check('opted out: 1 rows are held', 'сбор прекращён, хранится 1 запись');
  check('done: first_notice', 'выполнено: Первичное уведомление Роскомнадзора');
  check('I-2026-0001: closed', 'I-2026-0001: закрыто');
  check('2 user keys compared', 'сравнено: 2 ключа');
  check(
    'to quality: 2026-11-26T11:19:00Z to 2026-11-26T12:19:44.542Z, 2 fields, csv',
    'Контроль качества: с 26.11.2026 11:19 UTC по 26.11.2026 12:19 UTC, 2 поля, CSV',
  );
  check('to court: a person by cookie, 5 fields, json', 'Суд: один субъект по cookie, 5 полей, JSON');
  check(
    'loss: 2026-11-26T11:19:00Z to 2026-11-26T12:19:00Z, detected 2026-11-26T12:19:45.4Z',
    'Утрата: с 26.11.2026 11:19 UTC по 26.11.2026 12:19 UTC, выявлено 26.11.2026 12:19 UTC',
  );
  check('by address, city', 'по IP-адресу и времени, город');
  check('kind access, by cookie', 'доступ к данным, по cookie');
  check('something new', 'something new');
});
