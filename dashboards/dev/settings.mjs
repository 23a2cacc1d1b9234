/**
 * The mock's part of settings, people, shared links, funnels, journeys and
 * retention: kept in memory, changed as the page asks, with made-up numbers.
 *
 * `--empty` begins with nothing kept, `--no-mail` without mail. The shared link is
 * `/share/demo-share-secret`.
 */
const DAY = 86_400_000;
const now = Date.now();
const day = (ago) => new Date(now - ago * DAY).toISOString().slice(0, 10);
const EMPTY = process.argv.includes('--empty');
const MAIL = !process.argv.includes('--no-mail');

export const LINK = {
  secret: 'demo-share-secret',
  name: 'Агентство «Весна»',
  expires: now + 60 * DAY,
  filters: [['is', 'visit:utm_campaign', ['spring']]],
};

/** Of all visitors, so many reach a goal, in percent; and what one brings. */
const RATES = { g1: [4.6, 0], g2: [11.2, 0], g3: [2.3, 4800], g4: [31.5, 0], g5: [1.4, 0], g6: [7.7, 0] };

let last = 40;
const kept = new Map();
const people = [
  { login: 'owner', role: 'owner', totp: true },
  { login: 'olga', role: 'viewer', totp: false },
  { login: 'dpo', role: 'officer', totp: true },
  { login: 'ivan', role: 'security', totp: false },
];
const tokens = [
  { id: '1f0c2a9b', name: 'grafana', role: 'viewer', site: 'clinic', made: now - 40 * DAY, expires: now + 50 * DAY },
  { id: '77aa01c4', name: 'ночной отчёт', role: 'owner', site: null, made: now - 200 * DAY, expires: null },
  { id: '90be44d1', name: 'старый скрипт', role: 'viewer', site: 'clinic', made: now - 400 * DAY, expires: now - 3 * DAY },
];

function keptOf(site) {
  if (!kept.has(site)) kept.set(site, EMPTY || site !== 'clinic' ? nothing() : made());
  return kept.get(site);
}

function nothing() {
  return { goals: [], funnels: [], segments: [], notes: [], links: [], reports: [] };
}

function made() {
  return {
    goals: [
      { id: 'g1', name: 'Отправлена запись', kind: 'event', value: 'zapis' },
      { id: 'g2', name: 'Открыта форма записи', kind: 'page', value: '/zapis' },
      { id: 'g3', name: 'Оплата онлайн', kind: 'event', value: 'oplata', currency: 'RUB' },
      { id: 'g4', name: 'Смотрели цены', kind: 'page', value: '/ceny' },
      { id: 'g5', name: 'Клик по баннеру', kind: 'ad_click', value: '' },
      { id: 'g6', name: 'Дочитали статью о чистке', kind: 'scroll', value: '/blog/*', percent: 75 },
    ],
    funnels: [
      { id: 'f7', name: 'Приём', steps: ['g4', 'g2', 'g1', 'g3'] },
      { id: 'f8', name: 'Из блога на запись', steps: ['g6', 'g1'] },
    ],
    segments: [
      { id: 's9', name: 'Поиск с телефона', filters: [['is', 'visit:channel', ['search']], ['is', 'visit:device', ['mobile']]], by: 'owner' },
      { id: 's10', name: 'Весенняя кампания', filters: [['is', 'visit:utm_campaign', ['spring']]], by: 'olga' },
      { id: 's11', name: 'Москва и область без рекламы', filters: [['or', [['is', 'visit:city', ['Moscow']], ['is', 'visit:region', ['Moscow Oblast']]]]], by: 'olga' },
    ],
    notes: [
      { id: 'n12', day: day(9), text: 'Началась весенняя реклама', by: 'owner' },
      { id: 'n13', day: day(23), text: 'Новые цены на сайте', by: 'olga' },
    ],
    links: [
      { id: 'l14', name: LINK.name, expires: LINK.expires, filters: LINK.filters },
      { id: 'l15', name: 'Совет клиники', expires: null, filters: [] },
      { id: 'l16', name: 'Проверка', expires: now - 2 * DAY, filters: [] },
    ],
    reports: [{ id: 'r17', to: ['olga@clinic.example', 'chief@clinic.example'], every: 'week', language: 'ru', sent: day(8) }],
  };
}

/** The answer as [status, body], or null where the path is not of this part. */
export function settings(method, url, body, principal, accept = '') {
  const csv = accept === 'text/csv';
  switch (url.pathname) {
    case '/api/v1/settings':
      return method === 'GET' ? [200, shown(url.searchParams.get('site_id'), principal)] : change(body, principal);
    case '/api/v1/people':
      if (principal.role !== 'owner') return [403, { error: 'people need the role owner' }];
      return method === 'GET' ? [200, { people, tokens }] : changePeople(body);
    case '/api/v2/funnel':
      return csv ? [200, 'goal,visitors\n'] : funnel(body);
    case '/api/v2/journeys':
      return csv ? [200, 'from,to,visits\n'] : [200, journeys(body)];
    case '/api/v2/retention':
      return csv ? [200, 'week,visitors\n'] : [200, retention(body)];
    default:
      return null;
  }
}

/** Rows of `event:goal` of so many visitors. */
export function goalRows({ site_id, metrics, filters = [] }, visitors) {
  const wanted = filters.find(([, dimension]) => dimension === 'event:goal')?.[2];
  return keptOf(site_id)
    .goals.filter((goal) => !wanted || wanted.includes(goal.name))
    .map((goal) => {
      const [rate, price] = RATES[goal.id] ?? [0, 0];
      const people = Math.round((visitors * rate) / 100);
      const numbers = {
        visitors: people,
        events: Math.round(people * 1.13),
        conversion_rate: rate,
        total_revenue: price ? { value: people * price, currency: goal.currency, short: '', long: '' } : null,
      };
      return { dimensions: [goal.name], metrics: metrics.map((name) => numbers[name] ?? null) };
    })
    .filter((row) => row.metrics[0] > 0)
    .sort((a, b) => b.metrics[0] - a.metrics[0]);
}

export function goalShare(names) {
  const goal = keptOf('clinic').goals.find((each) => names.includes(each.name));
  return (RATES[goal?.id]?.[0] ?? 0) / 100;
}

function shown(site, { role, link }) {
  const { links, reports, ...open } = keptOf(site);
  return {
    ...open,
    ...(role === 'owner' && { links, reports }),
    min_group: 10,
    guarded: role === 'viewer',
    mail: MAIL,
    ...(link && { link: { name: link.name, expires: link.expires, filters: link.filters } }),
  };
}

const LISTS = { goal: 'goals', funnel: 'funnels', segment: 'segments', note: 'notes', link: 'links', report: 'reports' };

function change(body, { role, login, link }) {
  const site = keptOf(body.site_id);
  const [kind, what] = Object.entries(body.put ?? body.remove ?? {})[0] ?? [];
  const list = site[LISTS[kind]];
  if (!list) return [400, { error: 'nothing to put or to remove' }];
  if (link || (role !== 'owner' && !['segment', 'note'].includes(kind))) return [403, { error: `a ${kind} needs the role owner` }];
  if (body.remove) {
    if (kind === 'goal' && site.funnels.some((each) => each.steps.includes(what))) return [400, { error: `goal "${what}" is a step of a funnel` }];
    const at = list.findIndex((each) => each.id === what);
    if (at < 0) return [400, { error: `no ${kind} "${what}"` }];
    if (role !== 'owner' && list[at].by !== login) return [403, { error: `the ${kind} is of somebody else` }];
    list.splice(at, 1);
    return [200, {}];
  }
  if (kind === 'goal' && list.some((each) => each.name === what.name && each.id !== what.id))
    return [400, { error: `goal name "${what.name}" is taken by goal "${list.find((each) => each.name === what.name).id}"` }];
  const thing = { id: what.id ?? `${kind[0]}${(last += 1)}`, ...what };
  if (kind === 'segment' || kind === 'note') thing.by = list.find((each) => each.id === thing.id)?.by ?? login;
  if (kind === 'report') thing.sent = list.find((each) => each.id === thing.id)?.sent ?? null;
  const at = list.findIndex((each) => each.id === thing.id);
  if (at < 0) list.push(thing);
  else list[at] = thing;
  return [200, kind === 'link' ? { ...thing, url: `http://127.0.0.1:8091/share/${LINK.secret}` } : thing];
}

function changePeople(body) {
  if (body.add) {
    const { login, role, password } = body.add;
    if (people.some((each) => each.login === login)) return [400, { error: `login "${login}" is taken` }];
    if (password.length < 8) return [400, { error: 'a password has at least 8 characters' }];
    people.push({ login, role, totp: false });
    return [200, {}];
  }
  if (body.change) {
    people.find((each) => each.login === body.change.login).role = body.change.role;
    return [200, {}];
  }
  if (body.remove) {
    people.splice(people.findIndex((each) => each.login === body.remove.login), 1);
    return [200, {}];
  }
  if (body.revoke) {
    tokens.splice(tokens.findIndex((each) => each.id === body.revoke.id), 1);
    return [200, {}];
  }
  const { name, role, site = null, days } = body.token;
  const id = (last += 1).toString(16).padStart(8, '0');
  tokens.push({ id, name, role, site, made: now, expires: days ? now + days * DAY : null });
  return [200, { token: `mtk_${'x7q2'.repeat(10)}`, id }];
}

function scale({ date_range }) {
  if (date_range === 'all') return 40;
  const [from, to] = date_range.map((each) => Date.parse(String(each).slice(0, 10)));
  return (to - from) / DAY + 1;
}

function funnel(body) {
  const site = keptOf(body.site_id);
  const found = site.funnels.find((each) => each.id === body.funnel);
  if (!found) return [400, { error: `no funnel "${body.funnel}"` }];
  let visitors = Math.round(133 * scale(body));
  const first = visitors;
  const results = found.steps.map((id, index) => {
    const before = visitors;
    if (index > 0) visitors = Math.round(visitors * [1, 0.41, 0.36, 0.52][index % 4]);
    return {
      goal: site.goals.find((goal) => goal.id === id)?.name ?? id,
      visitors,
      dropped: index === 0 ? 0 : before - visitors,
      from_first: Math.round((visitors / first) * 1000) / 10,
      from_previous: Math.round((visitors / before) * 1000) / 10,
    };
  });
  return [200, { results, meta: {}, query: body }];
}

const STEPS = [
  ['/', '/uslugi/terapiya', 96],
  ['/', '/ceny', 88],
  ['/', '/vrachi', 71],
  ['/ceny', '/zapis', 54],
  ['/uslugi/terapiya', '/ceny', 51],
  ['/vrachi', '/vrachi/ivanova', 37],
  ['/vrachi', '/zapis', 33],
  ['/uslugi/terapiya', '/zapis', 24],
  ['/ceny', '/vrachi', 22],
  ['/blog/kak-vybrat-stomatologa', '/', 19],
  ['/ceny', '/', 14],
  ['/akcii', '/ceny', 12],
  ['/ceny', '/akcii', 11],
  ['/uslugi/implantaciya-zubov-pod-klyuch-s-garantiey', '/ceny', 9],
  ['/ceny', '/uslugi/implantaciya-zubov-pod-klyuch-s-garantiey', 6],
  ['/ceny', '/kontakty', 5],
  ['/o-klinike', '/ceny', 3],
];

function journeys(body) {
  if (body.site_id === 'new') return { results: [], meta: { entries: [], exits: [] }, query: body };
  const factor = scale(body) / 4;
  const all = STEPS.map(([from, to, visits]) => ({ from, to, visits: Math.round(visits * factor) }));
  const ends = (pages) => pages.map(([page, visits]) => ({ page, visits: Math.round(visits * factor) }));
  const meta = {
    entries: ends([['/', 210], ['/ceny', 72], ['/uslugi/terapiya', 61], ['/blog/kak-vybrat-stomatologa', 44], ['/vrachi', 21]]),
    exits: ends([['/zapis', 124], ['/kontakty', 98], ['/', 91], ['/ceny', 58], ['/vrachi/ivanova', 33]]),
  };
  if (body.from === null || body.from === undefined) return { results: all.slice(0, body.limit), meta, query: body };
  return {
    results: all.filter((step) => step.from === body.from),
    meta: { ...meta, before: all.filter((step) => step.to === body.from) },
    query: body,
  };
}

function retention(body) {
  if (body.site_id === 'new') return { results: [], meta: {}, query: body };
  const [from, to] = body.date_range === 'all' ? [day(180), day(0)] : body.date_range.map((each) => String(each).slice(0, 10));
  const monday = (text) => {
    const at = Date.parse(`${text}T00:00:00Z`) / DAY;
    return (at - ((at + 3) % 7)) * DAY;
  };
  const end = monday(day(0));
  const results = [];
  for (let week = monday(from); week <= Date.parse(to) && results.length < 26; week += 7 * DAY) {
    const visitors = 480 + ((week / DAY) * 37) % 210;
    const weeks = Math.round((end - week) / (7 * DAY));
    const returned = Array.from({ length: weeks + 1 }, (_, n) =>
      n === 0 ? visitors : Math.round((visitors * (0.19 + ((week / DAY + n * 5) % 7) / 100)) / (1 + n * 0.35)),
    );
    results.push({ week: new Date(week).toISOString().slice(0, 10), visitors, returned });
  }
  return { results, meta: {}, query: body };
}
