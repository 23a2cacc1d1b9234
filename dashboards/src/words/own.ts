/** Words of a part that loads later: those of the app and its own, which come with it. */
import { useContext } from 'preact/hooks';
import type { Message, MessageKey } from './en';
import { translator, words, WordsContext, type Language, type Params, type Words } from './language';

export type Table<Key extends string> = Readonly<Record<Language, Readonly<Record<Key, Message>>>>;

export interface OwnWords<Key extends string> extends Omit<Words, 't'> {
  t(key: MessageKey | Key, params?: Params): string;
}

/** Formats are dear to make: each table has its words once in each language. */
const made = new WeakMap<object, Map<Language, unknown>>();

export function ownWords<Key extends string>(table: Table<Key>, language: Language): OwnWords<Key> {
  const known = made.get(table) ?? new Map<Language, unknown>();
  made.set(table, known);
  const before = known.get(language) as OwnWords<Key> | undefined;
  if (before) return before;
  const common = words(language);
  const own = translator<Key>(language, table[language]);
  const mixed: OwnWords<Key> = {
    ...common,
    t: (key, params) =>
      Object.hasOwn(table[language], key) ? own.t(key as Key, params) : common.t(key as MessageKey, params),
    find: (key) => own.find(key) ?? common.find(key),
  };
  known.set(language, mixed);
  return mixed;
}

export function useOwnWords<Key extends string>(table: Table<Key>): OwnWords<Key> {
  return ownWords(table, useContext(WordsContext).language);
}
