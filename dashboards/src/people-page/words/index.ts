/** The words of people and tokens. */
import { useFormWords, type FormWords } from '../../settings-page/words';
import type { Table } from '../../words/own';
import { en, type PeopleKey } from './en';
import { ru } from './ru';

export const PEOPLE: Table<PeopleKey> = { en, ru };

export type PeopleWords = FormWords<PeopleKey>;

export const usePeople = (): PeopleWords => useFormWords(PEOPLE);
