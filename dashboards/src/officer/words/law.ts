/**
 * Sentences that the server writes in English — terms, articles, what the
 * register's history says — as a Russian officer writes them. A table of
 * patterns; a text that none fits is shown as it came.
 */
import type { Message } from '../../words/en';
import type { Language } from '../../words/language';
import { ruNames } from './ru-names';
import { ruRecords } from './ru-records';

const PLURAL = new Intl.PluralRules('ru');

type Forms = readonly [one: string, few: string, many: string];

const WORKING_DAYS: Forms = ['рабочий день', 'рабочих дня', 'рабочих дней'];
const DAYS: Forms = ['день', 'дня', 'дней'];
const MONTHS: Forms = ['месяц', 'месяца', 'месяцев'];
const FIELDS: Forms = ['поле', 'поля', 'полей'];
const KEYS: Forms = ['ключ', 'ключа', 'ключей'];
const ROWS: Forms = ['запись', 'записи', 'записей'];
const BROWSERS: Forms = ['браузер использовался', 'браузера использовались', 'браузеров использовались'];

/** How the trail names what was asked, and by what the person was identified. */
const KINDS: Readonly<Record<string, string>> = {
  access: 'доступ к данным',
  rectify: 'уточнение',
  block: 'блокирование',
  unblock: 'снятие блокирования',
  stop: 'прекращение обработки',
  withdraw: 'отзыв согласия',
  erase: 'уничтожение',
  marketing: 'отказ от рекламы',
  claim: 'претензия',
};
const WAYS: Readonly<Record<string, string>> = {
  cookie: 'по cookie',
  user: 'по ключу пользователя',
  ip: 'по IP-адресу и времени',
  other: 'субъект не определён',
};

const PATTERNS: readonly (readonly [RegExp, (...parts: string[]) => string])[] = [
  [/^at once$/, () => 'незамедлительно'],
  [/^(\d+) working days?$/, (n) => counted(n, WORKING_DAYS)],
  [/^(\d+) days?$/, (n) => counted(n, DAYS)],
  [/^(\d+) months?$/, (n) => counted(n, MONTHS)],
  [/^(.+) and (\d+ .+)$/, (first, more) => `${russian(first)} и ещё ${russian(more)}`],
  [/^term set by the operator$/, () => 'срок установлен оператором'],
  [/^policy clause (\S+)$/, (clause) => `п. ${clause} политики`],
  [/^(.+), shorter than (\d+)\((\d+)\)$/, (law, article, part) => `${russian(law)} (короче, чем по ч. ${part} ст. ${article})`],
  [/^152-FZ art\. (.+)$/, (list) => `${articles(list)} 152-ФЗ`],
  [/^GDPR art\. (\d+)\((\d+)\)$/, (article, part) => `п. ${part} ст. ${article} GDPR`],
  [/^Civil Code art\. (.+)$/, (list) => `${articles(list)} ГК РФ`],
  [/^Labour Code art\. (.+)$/, (list) => `${articles(list)} ТК РФ`],
  [/^Regulation (\S+) art\. (\d+)$/, (name, article) => `ст. ${article} Регламента ${name}`],
  [/^registered$/, () => 'зарегистрировано'],
  [/^the processing has stopped$/, () => 'обработка прекращена'],
  [/^closed as done$/, () => 'закрыто: исполнено'],
  [/^the visitor's own request$/, () => 'обращение самого посетителя'],
  [/^visitor's page$/, () => 'страница посетителя'],
  [/^visitor$/, () => 'посетитель'],
  [/^closed: done$/, () => 'закрыто: исполнено'],
  [/^closed: refused$/, () => 'закрыто: отказано'],
  [/^extended until (\d{4})-(\d\d)-(\d\d)$/, (year, month, day) => `срок продлён до ${day}.${month}.${year}`],
  [/^looked for: (\d+) rows are held$/, (n) => `поиск: хранится ${counted(n, ROWS)}`],
  [/^exported as (\w+): (\d+) rows$/, (format, n) => `выгружено (${format.toUpperCase()}): ${counted(n, ROWS)}`],
  [/^blocked: (\d+) rows$/, (n) => `заблокировано: ${counted(n, ROWS)}`],
  [/^unblocked: (\d+) rows$/, (n) => `блокирование снято: ${counted(n, ROWS)}`],
  [/^held for a claim: (\d+) rows$/, (n) => `удерживается из-за спора: ${counted(n, ROWS)}`],
  [/^released from a hold: (\d+) rows$/, (n) => `удержание снято: ${counted(n, ROWS)}`],
  [/^erasure begun: (\d+) rows$/, (n) => `уничтожение начато: ${counted(n, ROWS)}`],
  [/^erased: (\d+) rows$/, (n) => `уничтожено: ${counted(n, ROWS)}`],
  [/^(\S+) rectified: (\d+) rows changed$/, (field, n) => `уточнено поле ${fieldName(field)}: ${counted(n, ROWS)}`],
  [/^marketing withdrawn: (\d+) rows changed$/, (n) => `согласие на рекламу отозвано: ${counted(n, ROWS)}`],
  [/^opted out: (\d+) rows are held$/, (n) => `сбор прекращён, хранится ${counted(n, ROWS)}`],
  [/^closed$/, () => 'закрыто'],
  [/^done: (\w+)$/, (step) => `выполнено: ${named(`step.${step}`) ?? step}`],
  [
    /^(disclosure|loss|access|change): (\S+) to (\S+), detected (\S+)$/,
    (kind, from, to, detected) =>
      `${named(`incident.${kind}`) ?? kind}: с ${instant(from)} по ${instant(to)}, выявлено ${instant(detected)}`,
  ],
  [
    /^to (\w+): (.+), (\d+) fields, (json|csv)$/,
    (kind, scope, n, format) =>
      `${named(`recipient.${kind}`) ?? kind}: ${russian(scope)}, ${counted(n, FIELDS)}, ${format.toUpperCase()}`,
  ],
  [/^a person (by .+)$/, (way) => `один субъект ${russian(way)}`],
  [/^(\d{4}-\d\d-\d\dT\S+) to (\S+)$/, (from, to) => `с ${instant(from)} по ${instant(to)}`],
  [/^(\d+) user keys compared$/, (n) => `сравнено: ${counted(n, KEYS)}`],
  [/^the list of those affected$/, () => 'список затронутых'],
  [/^(I-\d+-\d+): (.+)$/, (number, what) => `${number}: ${russian(what)}`],
  [/^command of (.+)$/, (user) => `команда, ${user}`],
  [/^token (.+) \((\S+)\)$/, (name) => `токен ${name}`],
  [/^job (\S+)$/, (name) => `задание ${name}`],
  [/^by cookie$/, () => 'по cookie'],
  [/^by user key$/, () => 'по ключу пользователя'],
  [/^by address$/, () => 'по IP-адресу и времени'],
  [/^by request$/, () => 'по обращению'],
  [/^by (cookie|user key|address|request), (\S+)$/, (way, field) => `${russian(`by ${way}`)}, ${fieldName(field)}`],
  [/^kind (\w+), by (\w+)$/, (kind, way) => `${KINDS[kind] ?? kind}, ${WAYS[way] ?? way}`],
  [/^login (\S+), role (\w+)$/, (login, role) => `логин ${login}, роль ${role}`],
  [/^login (\S+)$/, (login) => `логин ${login}`],
  [
    /^hits without this cookie cannot be found by it: .+$/,
    () =>
      'Посещения без этого cookie по нему не найти: соли, по которым назывались такие посетители, уничтожаются через двое суток.',
  ],
  [
    /^(\d+) browsers were used with another user key too: .+$/,
    (n) => `${counted(n, BROWSERS)} и с другим ключом пользователя: из них берутся только посещения с этим ключом.`,
  ],
];

export function lawText(language: Language, text: string): string {
  return language === 'ru' ? russian(text) : text;
}

function russian(text: string): string {
  const parts = text.split('; ');
  if (parts.length > 1) return parts.map(russian).join('; ');
  for (const [pattern, write] of PATTERNS) {
    const found = pattern.exec(text);
    if (found) return write(...found.slice(1));
  }
  return text;
}

function fieldName(field: string): string {
  return named(`field.${field}`)?.toLowerCase() ?? field;
}

function named(key: string): string | undefined {
  const text = ({ ...ruRecords, ...ruNames } as Record<string, Message>)[key];
  return typeof text === 'string' ? text : undefined;
}

/** `14(3), 20(1)` as `ч. 3 ст. 14, ч. 1 ст. 20`. */
function articles(list: string): string {
  return list
    .split(', ')
    .map((each) => {
      const found = /^([\d.]+)\(([\d.]+)\)$/.exec(each);
      return found ? `ч. ${found[2]} ст. ${found[1]}` : `ст. ${each}`;
    })
    .join(', ');
}

/** An instant in UTC, as the trail writes it, to the minute. */
function instant(text: string): string {
  const found = /^(\d{4})-(\d\d)-(\d\d)T(\d\d:\d\d)\S*Z$/.exec(text);
  return found ? `${found[3]}.${found[2]}.${found[1]} ${found[4]} UTC` : text;
}

function counted(number: string, [one, few, many]: Forms): string {
  const category = PLURAL.select(Number(number));
  return `${number} ${category === 'one' ? one : category === 'few' ? few : many}`;
}
