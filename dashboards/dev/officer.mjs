/**
 * The officer's part of the mock: a register, a log, incidents and a trail that
 * change as the page asks, with made-up entries. Terms are rough here; the law's
 * own counting is the server's.
 */
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ZONE = 'Europe/Moscow';

const now = () => Date.now();
const day = (at) => new Date(at + 3 * HOUR).toISOString().slice(0, 10);
const iso = (at) => new Date(at).toISOString();
const hash = (seed) => seed.toString(16).padStart(2, '0').repeat(8);

const TERMS = {
  access: [14, '10 working days', '152-FZ art. 14(3), 20(1)'],
  rectify: [9, '7 working days', '152-FZ art. 20(3)'],
  block: [0, 'at once', '152-FZ art. 21(1)'],
  unblock: [9, '7 working days', '152-FZ art. 21(2)'],
  stop: [14, '10 working days', '152-FZ art. 21(3)'],
  withdraw: [30, '30 days', '152-FZ art. 21(5)'],
  erase: [14, '10 working days', '152-FZ art. 21(3), shorter than 21(5)'],
  marketing: [0, 'at once', '152-FZ art. 15(2)'],
  claim: [30, '30 days', 'policy clause 8.2'],
};

function due(received, days, term, article) {
  const date = day(received + days * DAY);
  return {
    date,
    ends: Date.parse(`${date}T21:00:00Z`),
    term,
    article,
    counted_by: 'Civil Code art. 191',
    holidays: 'known',
  };
}

let count = 0;
const requests = [];

function register({ site, kind, about = null, who = null, received, purpose = '' }) {
  count += 1;
  const at = received ? Date.parse(received) : now();
  const [days, term, article] = TERMS[kind];
  const identified = who === null ? 'other' : 'cookie' in who ? 'cookie' : 'user' in who ? 'user' : 'ip';
  const request = {
    number: `2026-${String(count).padStart(4, '0')}`,
    site,
    kind,
    about,
    identified,
    subjects: who === null ? [] : [{ kind: identified === 'user' ? 'user_key' : 'visitor', hash: hash(160 + count) }],
    received: at,
    law: 'russian',
    zone: ZONE,
    due: due(at, days, term, article),
    first_step:
      kind === 'stop' ? { what: 'stop', due: due(at, 3, '3 working days', '152-FZ art. 21(3)'), done: null } : null,
    extension: null,
    state: 'open',
    purpose,
    answer: '',
    closed: null,
    history: [{ at: now(), who: 'owner', what: 'registered' }],
    acts: [],
  };
  requests.push(request);
  return request;
}

function shown(request) {
  const end = request.extension?.until ?? request.due;
  const open = request.state === 'open';
  const next = open ? (request.first_step?.done === null ? request.first_step.due : end) : null;
  return {
    ...request,
    due_date: end.date,
    next_due_date: next?.date ?? null,
    overdue: next !== null && now() >= next.ends,
    calendar_known: end.holidays === 'known',
  };
}

const back = (days, hours = 0) => iso(now() - days * DAY - hours * HOUR);
register({ site: 'clinic', kind: 'access', who: { cookie: 'x' }, received: back(16), purpose: 'Какие данные о посещениях хранятся' });
register({ site: 'clinic', kind: 'withdraw', who: { user: 'x' }, received: back(29), purpose: 'Отзыв согласия на обработку' });
register({ site: 'clinic', kind: 'stop', who: { cookie: 'x' }, received: back(1), purpose: 'Обработка без согласия, со слов субъекта' });
register({ site: 'new', kind: 'claim', about: 'rectify', received: back(4), purpose: 'Неверный город в статистике' });
register({ site: 'clinic', kind: 'erase', who: { cookie: 'x' }, received: back(20), purpose: 'Уничтожить данные' });
Object.assign(requests[4], {
  state: 'done',
  closed: now() - 8 * DAY,
  answer: 'Данные уничтожены, акт направлен письмом.',
  acts: ['2026-0005-20261118T091500Z'],
});
requests[4].history.push(
  { at: now() - 9 * DAY, who: 'owner', what: 'looked for: 14 rows are held' },
  { at: now() - 8 * DAY - HOUR, who: 'owner', what: 'erased: 14 rows' },
  { at: now() - 8 * DAY, who: 'owner', what: 'closed: done' },
);

const trail = [];
function note(action, more = {}) {
  trail.push({ number: trail.length + 1, at: iso(now()), actor: { person: 'owner' }, action, ...more });
}
note('sign_in');
Object.assign(trail[0], { at: back(3) });
note('backup_made', { actor: { job: 'backup' }, detail: 'daily copy, 128 MB' });
Object.assign(trail[1], { at: back(0, 7) });
note('retention_run', { actor: { job: 'retention' }, detail: '1240 rows removed' });
Object.assign(trail[2], { at: back(0, 6) });
note('request_received', { site: 'clinic', subject: '2026-0003', purpose: 'rights', words: 'обращение по почте' });
note('sign_in_failed', { actor: 'visitor' });
note('keys_rotated', { actor: { command: 'metka' }, cut: 12 });
note('statistics_exported', { actor: { token: { id: 't1', name: 'отчёт' } }, site: 'clinic' });

let retention = report(false, back(0, 6));
function report(dry_run, at = iso(now())) {
  const kind = (name, removed, held_back = 0) => ({ site: 'clinic', kind: name, removed, held_back, oldest_left: back(180) });
  return {
    at,
    dry_run,
    kinds: [kind('raw', dry_run ? 12 : 1240), kind('ip', 310, 4), kind('city', 0), kind('user_key', 18), kind('refusals', 5)],
    keys_destroyed: dry_run ? [] : [7],
    backups: 1,
    parts_dropped: 2,
    seconds: 4.2,
  };
}

function policyOf(site) {
  const clause = (number, ru, en, does_ru, does_en, state, evidence, settings = []) => ({
    clause: number,
    ru,
    en,
    does_ru,
    does_en,
    settings,
    evidence,
    state,
  });
  const green = (ru, en, value) => ({ ru, en, value, state: 'green' });
  return {
    site,
    version: '2024-04-01',
    url: 'https://clinic.example/policy',
    made: iso(now()),
    state: site === 'new' ? 'green' : 'red',
    clauses: [
      clause('2.3', 'Политика действует только на этом сайте.', 'The policy covers this site only.', 'Хиты со страниц чужих доменов отклоняются и считаются.', 'Hits of other hosts are refused and counted.', 'green', [green('Отклонено за сутки', 'Refused in a day', 42)], [{ key: 'site.hosts', value: ['clinic.example'] }]),
      clause('3.3', 'Со страниц с пикселем автоматически передаются IP-адрес, cookie, сведения о браузере, время, адрес страницы, реферер.', 'Pages with the pixel transfer address, cookie, browser, time, page, referrer.', 'Сохраняются только эти поля.', 'Only these fields are stored.', 'green', [green('Поля сверх политики', 'Fields beyond the policy', 0)]),
      clause('5.1', 'Обработка без ограничения срока законными способами.', 'Processing without a term by lawful means.', 'Сроки по видам данных — настройки.', 'Terms by kind of data are settings.', site === 'new' ? 'green' : 'red', [green('Последнее удаление', 'Last removal', back(0, 6)), { ru: 'Самая старая запись, дней', en: 'Oldest row, days', value: 412, state: site === 'new' ? 'green' : 'red' }], [{ key: 'retention.raw_days', value: 395 }, { key: 'retention.ip_days', value: 90 }]),
      clause('9.4', 'Где опубликована политика.', 'Where the policy stands.', 'Адрес на странице посетителя.', 'Address on the visitor’s page.', 'none', []),
    ],
  };
}

const disclosures = [];
function disclosed(body) {
  const person = body.scope.person !== undefined;
  const rows = person ? 14 : 260;
  const disclosure = {
    number: `D-2026-${String(disclosures.length + 1).padStart(4, '0')}`,
    at: now(),
    site: body.site,
    recipient: body.recipient,
    recipient_kind: body.recipient_kind,
    basis: body.basis,
    purpose: body.purpose,
    scope: person
      ? { person: { subjects: [{ kind: 'visitor', hash: hash(200) }] } }
      : { range: { from: body.scope.range.from, to: body.scope.range.to } },
    fields: person ? [] : body.scope.range.fields,
    format: body.format,
    rows,
    visitors: person ? 1 : 31,
    sha256: hash(90).repeat(4),
    who: 'owner',
    request: body.request ?? null,
  };
  disclosures.push(disclosure);
  note('disclosed', { site: body.site, subject: body.request, detail: `${disclosure.number}: ${rows} rows` });
  return { disclosure, text: body.format === 'csv' ? 'time,path\n' : '[]\n' };
}
disclosed({ site: 'clinic', recipient: 'ПАО «Связь»', recipient_kind: 'operator', basis: 'договор № 12 от 01.02.2026, п. 5.2 политики', purpose: 'контроль качества звонков', scope: { range: { from: back(9), to: back(2), fields: ['time', 'path', 'source'] } }, format: 'csv' });

const incidents = [];
function reported(body) {
  const detected = body.detected ? Date.parse(body.detected) : now();
  const clock = (name, hours) => ({ name, hours, due: detected + hours * HOUR, done: null, article: '152-FZ art. 21(3.1)' });
  const incident = {
    number: `I-2026-${String(incidents.length + 1).padStart(4, '0')}`,
    site: body.site,
    kind: body.kind,
    from: Date.parse(body.from),
    to: Date.parse(body.to),
    detected,
    registered: now(),
    what: body.what,
    who: 'owner',
    clocks: [clock('first_notice', 24), clock('inquiry', 72)],
    affected: {
      rows: 1204,
      visitors: 218,
      cookies: 160,
      user_keys: 37,
      addresses: 190,
      first: Date.parse(body.from),
      last: Date.parse(body.to),
      kinds: [
        { name: 'ip', ru: 'IP-адрес (зашифрованный) и примерное местоположение', en: 'IP address (encrypted) and coarse location', rows: 1204 },
        { name: 'cookie', ru: 'идентификатор посетителя из cookie-файла', en: 'visitor’s identifier from the cookie', rows: 960 },
      ],
    },
    notice: {
      ru: 'Уважаемый посетитель!\n\nСообщаем, что сведения о посещениях сайта clinic.example могли стать доступны посторонним. Это адреса страниц, время и сведения о браузере.\n\nОператор: ООО «Клиника»',
      en: 'Dear visitor,\n\nrecords of visits to clinic.example may have become known to others: addresses of pages, times and the browser.\n\nOperator: Clinic LLC',
    },
    advice: { ru: 'Удалите cookie сайта и не отвечайте на письма с вопросами о посещениях.', en: 'Delete the cookies of the site, and do not answer letters that ask about visits.' },
    state: 'open',
    result: '',
    history: [{ at: now(), who: 'owner', what: 'registered' }],
  };
  incidents.push(incident);
  note('incident_reported', { site: body.site, detail: incident.number });
  return incident;
}
reported({ site: 'clinic', kind: 'disclosure', from: back(5), to: back(3), detected: back(1, 3), what: 'Резервная копия лежала в открытом каталоге' });
const clocks = (incident) => ({ ...incident, clocks: incident.clocks.map((clock) => ({ ...clock, late: (clock.done ?? now()) > clock.due })) });

const blocked = new Set();
let secondFactor = false;
let pending = false;

function job(body) {
  if (!body.purpose) throw new Error('purpose: expected one line of 1 to 256 bytes');
  if (body.who.cookie === 'wrong') throw new Error('the cookie identifies nobody: it is not of this form');
  const request = requests.find((each) => each.number === body.request);
  const key = request?.number ?? JSON.stringify(body.who);
  const name = typeof body.job === 'string' ? body.job : Object.keys(body.job)[0];
  const subjects = request?.subjects ?? [{ kind: 'visitor', hash: hash(120) }];
  const note_of = 'hits without this cookie cannot be found by it: the salts that named their visitors are destroyed after two days';
  const held = () => ({ site: body.site, subjects, notes: [note_of], rows: 14, first: back(40), last: back(2), blocked: blocked.has(key) });
  const told = { find: 'looked for: 14 rows are held', export: `exported as ${body.job.export}: 14 rows`, block: 'blocked: 14 rows', unblock: 'unblocked: 14 rows', erase: 'erased: 14 rows' };
  const action = { find: 'subject_found', export: 'subject_exported', block: 'subject_blocked', unblock: 'subject_unblocked', erase: 'subject_erased', rectify: 'subject_rectified' }[name] ?? 'request_changed';
  note(action, { site: body.site, subject: body.request ?? subjects[0]?.hash, purpose: 'rights', words: body.purpose });
  request?.history.push({ at: now(), who: 'owner', what: told[name] ?? `${name}: 14 rows` });
  if (name === 'block') blocked.add(key);
  if (name === 'unblock') blocked.delete(key);
  if (name === 'export') return { rows: 14, text: `{"rows":[]}\n` };
  if (name === 'erase') {
    const act = `${request?.number ?? '20261126'}-${iso(now()).replace(/[-:]/g, '').slice(0, 15)}Z`;
    request?.acts.push(act);
    return { rows: 14, act: { number: act }, files: [] };
  }
  if (['rectify', 'withdraw_marketing', 'opt_out'].includes(name)) return { site: body.site, subjects, notes: [], rows: 14, changed: 3 };
  return held();
}

/** Answers `[status, body]`, or nothing where the path is not of this part. */
export function officer(method, url, body, session) {
  const path = url.pathname.replace('/api/v1/', '').split('/');
  const asked = url.searchParams;
  const site = asked.get('site_id') ?? '';
  const here = (each) => site === '' || each.site === site;
  if (path[0] === 'account' && path[1] === 'totp') {
    if (path[2] === undefined) {
      if (body.current !== 'correct horse') return [403, { error: 'the password is wrong' }];
      pending = true;
      return [200, { secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', uri: 'otpauth://totp/Metka:owner?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Metka' }];
    }
    if (body.code !== '123456') return [400, { error: 'the code is wrong' }];
    secondFactor = path[2] === 'confirm' && pending;
    session.totp = secondFactor;
    return [204, null];
  }
  if (!['requests', 'subjects', 'acts', 'audit', 'retention', 'policy', 'disclosures', 'incidents'].includes(path[0])) return undefined;
  if (!['officer', 'owner'].includes(session.role)) return [403, { error: 'this needs the role officer' }];
  switch (path[0]) {
    case 'requests': {
      if (path[1] === undefined && method === 'POST') {
        const added = register(body);
        note('request_received', { site: body.site, subject: added.number });
        return [200, shown(added)];
      }
      if (path[1] === undefined) {
        const all = requests.map(shown).filter(here);
        const open = all.filter((each) => each.state === 'open');
        const fits = (each) =>
          (!asked.get('state') || each.state === asked.get('state')) &&
          (!asked.get('kind') || each.kind === asked.get('kind')) &&
          (asked.get('overdue') !== 'true' || each.overdue);
        return [
          200,
          {
            requests: all.filter(fits),
            attention: {
              open: open.length,
              overdue: open.filter((each) => each.overdue).map((each) => each.number),
              due_within_2_working_days: open
                .filter((each) => !each.overdue && Date.parse(each.next_due_date) < now() + 2 * DAY)
                .map((each) => each.number),
            },
          },
        ];
      }
      const request = requests.find((each) => each.number === path[1]);
      if (!request) return [404, { error: `no request ${path[1]}` }];
      if (method === 'POST') {
        const history = (what) => request.history.push({ at: now(), who: 'owner', what });
        if (body.extend) {
          const until = due(request.received, 21, '10 working days and 5 working days', '152-FZ art. 14(3), 20(1)');
          request.extension = { days: body.extend.days ?? 7, reason: body.extend.reason, at: now(), until };
          history(`extended until ${until.date}`);
        } else if (body.stopped) {
          request.first_step.done = now();
          history('the processing has stopped');
        } else if (body.close) {
          Object.assign(request, { state: body.close.refused ? 'refused' : 'done', answer: body.close.answer, closed: now() });
          history(body.close.refused ? 'closed: refused' : 'closed: done');
        }
      }
      return [200, shown(request)];
    }
    case 'subjects':
      return [200, job(body)];
    case 'audit':
      if (path[1] === 'verify') {
        const seen = (entry) => ({ number: entry.number, at: entry.at });
        return [200, { entries: trail.length, first: seen(trail[0]), last: seen(trail.at(-1)), anchor: `${trail.length}:${hash(77).repeat(4)}`, torn_bytes: 0 }];
      }
      return [200, { entries: trail.filter((each) => (!asked.get('action') || each.action === asked.get('action')) && (site === '' || each.site === site)).slice(-Number(asked.get('last') ?? 100)) }];
    case 'retention':
      if (method === 'POST') {
        const made = report(body.dry_run);
        if (!body.dry_run) retention = made;
        return [200, made];
      }
      return [200, retention];
    case 'policy':
      return [200, policyOf(site)];
    case 'disclosures':
      return [200, method === 'POST' ? disclosed(body) : { disclosures: disclosures.filter(here) }];
    case 'incidents': {
      if (path[1] === undefined) return [200, method === 'POST' ? clocks(reported(body)) : { incidents: incidents.map(clocks) }];
      const incident = incidents.find((each) => each.number === path[1]);
      if (!incident) return [404, { error: `no incident ${path[1]}` }];
      if (body?.match) return [200, { affected: body.match.filter((_, index) => index % 3 === 0) }];
      if (body?.done) {
        const clock = incident.clocks.find((each) => each.name === body.done);
        if (clock) clock.done = now();
        incident.history.push({ at: now(), who: 'owner', what: `done: ${body.done}` });
      }
      if (body?.close) Object.assign(incident, { state: 'closed', result: body.close.result });
      return [200, clocks(incident)];
    }
    default:
      return [404, { error: 'no such path' }];
  }
}
