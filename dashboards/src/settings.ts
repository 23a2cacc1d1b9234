/**
 * What a person chose for this browser: language and light or dark. Kept in the
 * storage of the dashboard's own origin; without storage it holds for the page.
 */
import { isLanguage, pickLanguage, type Language } from './words/language';

export type Theme = 'system' | 'light' | 'dark';

const LANGUAGE_KEY = 'metka-language';
const THEME_KEY = 'metka-theme';
const KEYS_KEY = 'metka-keys';

export function initialLanguage(): Language {
  const asked = new URLSearchParams(location.search).get('lang');
  if (isLanguage(asked)) return asked;
  return pickLanguage(read(LANGUAGE_KEY), null, navigator.languages);
}

export function keepLanguage(language: Language): void {
  write(LANGUAGE_KEY, language);
}

export function initialTheme(): Theme {
  const kept = read(THEME_KEY);
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

/** Whether single keys do something: on, unless somebody switched them off. */
export function initialKeys(): boolean {
  return read(KEYS_KEY) !== 'off';
}

export function keepKeys(on: boolean): void {
  write(KEYS_KEY, on ? 'on' : 'off');
}

/** Sent when the colours changed; the graph draws itself again. */
export const THEME_EVENT = 'metka-theme';

/** Chooses and shows a theme: the style sheet knows only the resolved one. */
export function applyTheme(theme: Theme): void {
  write(THEME_KEY, theme);
  showTheme();
}

/** Shows the chosen theme, now and whenever the system's changes. */
export function startTheme(): void {
  DARK.addEventListener('change', showTheme);
  showTheme();
}

const DARK = matchMedia('(prefers-color-scheme: dark)');

function showTheme(): void {
  const theme = initialTheme();
  document.documentElement.dataset['theme'] = theme === 'system' ? (DARK.matches ? 'dark' : 'light') : theme;
  window.dispatchEvent(new Event(THEME_EVENT));
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    // Storage is switched off in this browser.
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The same; the choice holds until the page is closed.
  }
}
