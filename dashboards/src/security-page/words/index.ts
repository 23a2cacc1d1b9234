/** The words of the security page, and what the server says in English in those of the reader. */
import { useCallback } from 'preact/hooks';
import { useFormWords, type FormWords } from '../../settings-page/words';
import type { Table } from '../../words/own';
import { en, type SecurityKey } from './en';
import { ru } from './ru';
import { said } from './said';

export const SECURITY: Table<SecurityKey> = { en, ru };

export type SecurityWords = FormWords<SecurityKey>;

export const useSecurity = (): SecurityWords => useFormWords(SECURITY);

/** What the server says, in the words of the reader. */
export function useSaid(): (text: string) => string {
  const { language } = useSecurity();
  return useCallback((text) => said(language, text), [language]);
}
