/** The words of the settings: those of the app, those of the forms it shares with the officer's page, its own. */
import { useContext } from 'preact/hooks';
import type { MessageKey } from '../../words/en';
import { translator, WordsContext, type Language, type Params } from '../../words/language';
import { officeWords, type OfficeWords } from '../../officer/words';
import type { OfficeKey } from '../../officer/words/en';
import type { Table } from '../../words/own';
import { en, type SettingsKey } from './en';
import { ru } from './ru';

export interface FormWords<Key extends string> extends Omit<OfficeWords, 't'> {
  t(key: MessageKey | OfficeKey | Key, params?: Params): string;
  /** Those of the shared forms alone. */
  readonly office: OfficeWords;
}

export const SETTINGS: Table<SettingsKey> = { en, ru };

export const useSettings = (): FormWords<SettingsKey> => useFormWords(SETTINGS);

/** The words of a page that shares the officer's forms. */
export function useFormWords<Key extends string>(table: Table<Key>): FormWords<Key> {
  return formWords(table, useContext(WordsContext).language);
}

const made = new WeakMap<object, Map<Language, unknown>>();

export function formWords<Key extends string>(table: Table<Key>, language: Language): FormWords<Key> {
  const known = made.get(table) ?? new Map<Language, unknown>();
  made.set(table, known);
  const before = known.get(language) as FormWords<Key> | undefined;
  if (before) return before;
  const office = officeWords(language);
  const own = translator<Key>(language, table[language]);
  const mixed: FormWords<Key> = {
    ...office,
    office,
    t: (key, params) =>
      Object.hasOwn(table[language], key) ? own.t(key as Key, params) : office.t(key as MessageKey, params),
    find: (key) => own.find(key) ?? office.find(key),
  };
  known.set(language, mixed);
  return mixed;
}
