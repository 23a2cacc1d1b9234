/** The words of the panels beyond. */
import { useOwnWords, type OwnWords } from '../../words/own';
import { en, type BeyondKey } from './en';
import { ru } from './ru';

export const BEYOND = { en, ru };

export type BeyondWords = OwnWords<BeyondKey>;

export const useBeyond = (): BeyondWords => useOwnWords<BeyondKey>(BEYOND);
