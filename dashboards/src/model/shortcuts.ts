/**
 * The keys of the page, as data. Keys are named by their place on the keyboard
 * (`KeyT`), so that they work whatever the layout; the letters shown are those
 * of a Latin keyboard. All of them can be switched off: somebody who dictates
 * would press them unawares.
 */

export type Shortcut =
  | 'today'
  | 'yesterday'
  | 'week'
  | 'month'
  | 'four_weeks'
  | 'year'
  | 'earlier'
  | 'later'
  | 'compare'
  | 'filter'
  | 'clear'
  | 'interval'
  | 'metric'
  | 'live'
  | 'refresh'
  | 'help';

export interface Key {
  readonly shortcut: Shortcut;
  /** `KeyboardEvent.code`; several do the same or, for `metric`, choose by their order. */
  readonly codes: readonly string[];
  /** What is written on them. */
  readonly shown: string;
  /** Not where the guard of small counts holds. */
  readonly exact?: true;
}

export interface KeyGroup {
  readonly id: 'period' | 'numbers' | 'page';
  readonly keys: readonly Key[];
}

const DIGITS = ['Digit1', 'Digit2', 'Digit3', 'Digit4', 'Digit5', 'Digit6'];

export const KEY_GROUPS: readonly KeyGroup[] = [
  {
    id: 'period',
    keys: [
      { shortcut: 'today', codes: ['KeyT'], shown: 'T' },
      { shortcut: 'yesterday', codes: ['KeyY'], shown: 'Y' },
      { shortcut: 'week', codes: ['KeyW'], shown: 'W' },
      { shortcut: 'month', codes: ['KeyM'], shown: 'M' },
      { shortcut: 'four_weeks', codes: ['KeyD'], shown: 'D', exact: true },
      { shortcut: 'year', codes: ['KeyA'], shown: 'A', exact: true },
      { shortcut: 'earlier', codes: ['BracketLeft'], shown: '[' },
      { shortcut: 'later', codes: ['BracketRight'], shown: ']' },
    ],
  },
  {
    id: 'numbers',
    keys: [
      { shortcut: 'metric', codes: DIGITS, shown: '1–6' },
      { shortcut: 'interval', codes: ['KeyI'], shown: 'I', exact: true },
      { shortcut: 'compare', codes: ['KeyC'], shown: 'C' },
      { shortcut: 'filter', codes: ['KeyF'], shown: 'F' },
      { shortcut: 'clear', codes: ['KeyX'], shown: 'X' },
    ],
  },
  {
    id: 'page',
    keys: [
      { shortcut: 'live', codes: ['KeyL'], shown: 'L' },
      { shortcut: 'refresh', codes: ['KeyR'], shown: 'R' },
      { shortcut: 'help', codes: [], shown: '?' },
    ],
  },
];

/** What was pressed, as far as it matters here. */
export interface Pressed {
  readonly code: string;
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
}

/** The shortcut of a key, and which of its keys it was; null for any other. */
export function shortcutOf(pressed: Pressed, guarded: boolean): { readonly shortcut: Shortcut; readonly nth: number } | null {
  if (pressed.ctrlKey || pressed.metaKey || pressed.altKey) return null;
  if (pressed.key === '?') return { shortcut: 'help', nth: 0 };
  if (pressed.shiftKey) return null;
  for (const { shortcut, codes, exact } of KEY_GROUPS.flatMap((group) => group.keys)) {
    const nth = codes.indexOf(pressed.code);
    if (nth >= 0) return exact && guarded ? null : { shortcut, nth };
  }
  return null;
}
