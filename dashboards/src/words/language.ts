/**
 * The language: chosen by hand (kept in this origin's storage), else the
 * address's `?lang=`, else the browser's. And the translator made from it.
 */
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { en, type Message, type MessageKey } from './en';
import { formats, type Formats } from './formats';
import { ru } from './ru';

export type Language = 'en' | 'ru';

export const LANGUAGES: readonly (readonly [Language, string])[] = [
  ['en', 'English'],
  ['ru', 'Русский'],
];

const MESSAGES: Readonly<Record<Language, Readonly<Record<MessageKey, Message>>>> = { en, ru };

export type Params = Readonly<Record<string, string | number>>;

export interface Words {
  readonly language: Language;
  /** The text of a key; `count` chooses the plural form. */
  t(key: MessageKey, params?: Params): string;
  /** The text of a key that is put together at run time, if there is one. */
  find(key: string): string | undefined;
  readonly format: Formats;
}

export function isLanguage(text: unknown): text is Language {
  return text === 'en' || text === 'ru';
}

/** The first of the browser's languages that we speak. */
export function pickLanguage(chosen: string | null, asked: string | null, browser: readonly string[]): Language {
  for (const each of [chosen, asked, ...browser]) {
    const short = each?.slice(0, 2).toLowerCase();
    if (isLanguage(short)) return short;
  }
  return 'en';
}

export function words(language: Language): Words {
  const { t, find } = translator(language, MESSAGES[language]);
  return { language, t, find, format: formats(language, t) };
}

export interface Translator<Key extends string> {
  t(key: Key, params?: Params): string;
  find(key: string): string | undefined;
}

/** A translator of any table of texts: parts of the app that load later bring their own. */
export function translator<Key extends string>(
  language: Language,
  messages: Readonly<Record<Key, Message>>,
): Translator<Key> {
  const plural = new Intl.PluralRules(language);
  const t = (key: Key, params: Params = {}): string => fill(messages[key], params, plural);
  return { t, find: (key) => (Object.hasOwn(messages, key) ? t(key as Key) : undefined) };
}

export const WordsContext = createContext<Words>(words('en'));

export function useWords(): Words {
  return useContext(WordsContext);
}

function fill(message: Message, params: Params, plural: Intl.PluralRules): string {
  let text: string;
  if (typeof message === 'string') text = message;
  else text = message[plural.select(Number(params['count'] ?? 0))] ?? message.other;
  return text.replace(/\{(\w+)\}/g, (placeholder, name: string) => String(params[name] ?? placeholder));
}
