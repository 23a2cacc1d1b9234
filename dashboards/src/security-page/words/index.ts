/** The words of the security page, and what the server says in English in those of the reader. */
import { useFormWords, type FormWords } from '../../settings-page/words';
import type { Table } from '../../words/own';
import { en, type SecurityKey } from './en';
import { ru } from './ru';

export const SECURITY: Table<SecurityKey> = { en, ru };

export type SecurityWords = FormWords<SecurityKey>;

export const useSecurity = (): SecurityWords => useFormWords(SECURITY);
