/**
 * The evidence of a rule as a sentence: the numbers and names that the server
 * gives, in the reader's words. A rule that is not known here shows them as they came.
 */
import type { Evidence, Signal } from '../../api/security';
import type { SecurityWords } from '.';
import { browserName, said } from './said';

export function evidenceText(words: SecurityWords, signal: Signal, zone: string): string {
  const told = sentence(words, signal, zone);
  const browser = part(signal.evidence, 'browser');
  const number = (key: string): string => words.format.number(count(browser, key));
  if (count(browser, 'of') === 0) return told;
  return `${told} ${words.t('evidence.browser', { number: number('number'), of: number('of') })}`;
}

/** What is said of the visitor or the user, or of the one browser that a signal is from. */
function sentence(words: SecurityWords, { rule, evidence }: Signal, zone: string): string {
  const { t, format, find, language } = words;
  const number = (key: string): string => format.number(count(evidence, key));
  const moment = (key: string): string => words.moment(text(evidence, key), zone);
  /** `12`, or `at least 12` where more are not counted. */
  const many = (key: string): string =>
    evidence['or_more'] === true ? t('evidence.at_least', { number: number(key) }) : number(key);
  const who = t(evidence['of'] === 'user' ? 'evidence.user' : 'evidence.visitor');
  const threshold = number('threshold');
  switch (rule) {
    case 'speed': {
      const stop = (key: string): { place: string; at: string } => {
        const place = part(evidence, key);
        return {
          place: placeName(words, text(place, 'country'), text(place, 'city')),
          at: words.moment(text(place, 'at'), zone),
        };
      };
      const [from, to] = [stop('from'), stop('to')];
      return t('evidence.speed', {
        who,
        from: from.place,
        from_at: from.at,
        to: to.place,
        to_at: to.at,
        km: number('km'),
        speed: number('km_per_hour'),
        least_km: number('threshold_km'),
        most_speed: number('threshold_km_per_hour'),
      });
    }
    case 'time_zone':
      return t('evidence.time_zone', {
        time_zone: text(evidence, 'time_zone'),
        shown: offset(count(evidence, 'minutes_from_utc')),
        country: country(words, text(evidence, 'country')),
        usual: list(evidence, 'minutes_of_country').map((minutes) => offset(Number(minutes))).join(', '),
      });
    case 'language':
      return t('evidence.language', {
        language: `${format.language(text(evidence, 'language'))} (${text(evidence, 'language')})`,
        country: country(words, text(evidence, 'country')),
      });
    case 'network':
      return t('evidence.network', { kind: find(`network.${text(evidence, 'kind')}`) ?? text(evidence, 'kind') });
    case 'many_countries': {
      const names = list(evidence, 'countries').map((code) => country(words, String(code)));
      return t('evidence.many_countries', {
        who,
        count: names.length,
        number: format.number(names.length),
        countries: names.join(', '),
        threshold,
      });
    }
    case 'crowded_address':
      return t('evidence.crowded_address', { count: count(evidence, 'visitors'), number: many('visitors'), threshold });
    case 'many_addresses':
      return t('evidence.many_addresses', { who, count: count(evidence, 'addresses'), number: many('addresses'), threshold });
    case 'many_users':
      return t('evidence.many_users', { count: count(evidence, 'users'), number: many('users'), threshold });
    case 'burst': {
      const usual = count(evidence, 'usual_on_this_site');
      const habit =
        usual === 0 ? t('evidence.no_habit') : t('evidence.habit', { count: usual, number: format.number(usual) });
      return t('evidence.burst', {
        count: count(evidence, 'pages'),
        number: number('pages'),
        at: moment('in_the_ten_minutes_from'),
        habit,
        threshold,
      });
    }
    case 'automation':
      return t('evidence.automation', {
        count: count(evidence, 'hits'),
        number: number('hits'),
        mark: find(`mark.${text(evidence, 'mark')}`) ?? text(evidence, 'mark'),
        at: moment('last'),
      });
    case 'cookie_forged':
      return t('evidence.cookie_forged', { what: said(language, text(evidence, 'cookie')) });
    case 'cookie_replayed':
    case 'browser_change':
      return t(evidence['more_than_one_address'] === true ? 'evidence.changed_moved' : 'evidence.changed', {
        from: browserName(language, text(evidence, 'from')),
        to: browserName(language, text(evidence, 'to')),
        at: moment('at'),
        count: count(evidence, 'times'),
        number: number('times'),
      });
    case 'page_order':
      return text(evidence, 'page') === ''
        ? t('evidence.click_unseen', { at: moment('at') })
        : t('evidence.page_skipped', { page: text(evidence, 'page'), before: text(evidence, 'before'), at: moment('at') });
    default:
      return JSON.stringify(evidence);
  }
}

/** `Mountain View, United States`; empty where nothing is known. */
export function placeName(words: SecurityWords, code: string, city: string, region = ''): string {
  const parts = [city, region === city ? '' : region, code === '' ? '' : words.format.country(code)];
  return parts.filter((each) => each !== '').join(', ') || (code === '' && city === '' ? '' : words.t('value.unknown'));
}

function country(words: SecurityWords, code: string): string {
  return code === '' ? words.t('value.unknown') : words.format.country(code);
}

/** `UTC+05:30` */
function offset(minutes: number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? '−' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

function text(evidence: Evidence, key: string): string {
  const value = evidence[key];
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

function count(evidence: Evidence, key: string): number {
  const value = evidence[key];
  return typeof value === 'number' ? value : 0;
}

function part(evidence: Evidence, key: string): Evidence {
  const value = evidence[key];
  return typeof value === 'object' && value !== null ? (value as Evidence) : {};
}

function list(evidence: Evidence, key: string): readonly unknown[] {
  const value = evidence[key];
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}
