/**
 * The officer's words: those of the app and those of this part, which come with
 * it, so that nobody else loads them. And moments, days and spans of time.
 */
import { useContext, useMemo } from 'preact/hooks';
import type { MessageKey } from '../../words/en';
import { translator, words, WordsContext, type Language, type Params, type Words } from '../../words/language';
import type { Remaining, Span } from '../model/due';
import { en, type OfficeKey } from './en';
import { lawText } from './law';
import { ru } from './ru';

export interface OfficeWords extends Omit<Words, 't'> {
  t(key: MessageKey | OfficeKey, params?: Params): string;
  /** A day `yyyy-mm-dd`. */
  day(day: string): string;
  /** A moment, in milliseconds or RFC 3339, by the clock of a zone. */
  moment(at: number | string, timezone: string): string;
  /** `2 days 3 h`, or `3 h 5 min` where it is less than a day. */
  span(span: Span): string;
  /** `… left` or `late by …`. */
  remaining(remaining: Remaining): string;
  /** A sentence of the register or of the law, as people of this language write it; unknown ones as they came. */
  law(text: string): string;
}

const OWN = { en, ru } as const;

export function officeWords(language: Language): OfficeWords {
  const common = words(language);
  const own = translator<OfficeKey>(language, OWN[language]);
  const t: OfficeWords['t'] = (key, params) =>
    Object.hasOwn(OWN[language], key) ? own.t(key as OfficeKey, params) : common.t(key as MessageKey, params);
  const dayFormat = new Intl.DateTimeFormat(language, {
    timeZone: 'UTC',
    day: 'numeric',
    month: 'long',
    year: 'numeric',
  });
  const span = ({ days, hours, minutes }: Span): string => {
    const number = common.format.number;
    if (days > 0) {
      const whole = t('span.days', { count: days, number: number(days) });
      return hours === 0 ? whole : `${whole} ${t('span.hours', { number: hours })}`;
    }
    if (hours === 0) return t('span.minutes', { number: minutes });
    const whole = t('span.hours', { number: hours });
    return minutes === 0 ? whole : `${whole} ${t('span.minutes', { number: minutes })}`;
  };
  return {
    ...common,
    t,
    find: (key) => own.find(key) ?? common.find(key),
    day: (day) => {
      const at = new Date(`${day}T00:00:00Z`);
      return Number.isNaN(at.getTime()) ? day : dayFormat.format(at);
    },
    moment: (at, timezone) => {
      const instant = new Date(at);
      if (Number.isNaN(instant.getTime())) return String(at);
      return momentFormat(language, timezone).format(instant);
    },
    span,
    remaining: ({ late, span: length }) => t(late ? 'clock.late_by' : 'clock.left', { span: span(length) }),
    law: (text) => lawText(language, text),
  };
}

/** Formats are dear to make; there are a few zones. */
const moments = new Map<string, Intl.DateTimeFormat>();

function momentFormat(language: Language, timezone: string): Intl.DateTimeFormat {
  const key = `${language} ${timezone}`;
  let format = moments.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(language, {
      timeZone: timezone,
      day: 'numeric',
      month: 'short',
      year: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    moments.set(key, format);
  }
  return format;
}

export function useOffice(): OfficeWords {
  const { language } = useContext(WordsContext);
  return useMemo(() => officeWords(language), [language]);
}
