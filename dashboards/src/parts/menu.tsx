/** The menu of the header: who is signed in, language, appearance, the way out. */
import { useState } from 'preact/hooks';
import type { Session } from '../api/types';
import { useShared } from '../share/shared';
import { applyTheme, initialTheme, type Theme } from '../settings';
import { LANGUAGES, useWords, type Language } from '../words/language';
import { Icon } from './icons';
import { PageItems, type PageName } from './page-nav';
import { Popover } from './popover';

const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

export interface Act {
  /** For tests: `data-act`. */
  readonly id: string;
  readonly name: string;
  /** The key that does the same. */
  readonly key?: string;
  readonly run: () => void;
}

/** What the app gives every page, and a page its menu. */
export interface PageProps {
  readonly session: Session;
  readonly onLanguage: (language: Language) => void;
  readonly onAccount: () => void;
  readonly onSignOut: () => void;
}

interface Props extends PageProps {
  /** Absent where no site is chosen. */
  readonly onOwnHit?: () => void;
  /** Absent where the page has a section for it. */
  readonly onSecondFactor?: () => void;
  /** What the page can do beside showing itself, in their order. */
  readonly acts?: readonly Act[];
  /** Which page it stands on: it links to the others. */
  readonly here?: PageName;
}

export function Menu(props: Props) {
  const { session, onLanguage, onAccount, onSignOut, onOwnHit, onSecondFactor, acts = [], here = 'numbers' } = props;
  const { t } = useWords();
  // Who came by a link has no account, and nowhere else to go.
  const shared = useShared();
  return (
    <Popover label={<Icon name="more" />} name={t('app.menu')} class="menu" align="end">
      {(close) => (
        <>
          {!shared && <p class="menu-who">
            {session.login === null ? t('app.signed_in_by_code') : t('app.signed_in_as', { login: session.login })}
          </p>}
          <LanguageChoice onLanguage={onLanguage} />
          <ThemeChoice />
          {acts.length > 0 && (
            <div class="menu-links">
              {acts.map(({ id, name, key, run }) => (
                <button
                  key={id}
                  type="button"
                  data-item
                  data-act={id}
                  class="item"
                  onClick={() => {
                    close();
                    run();
                  }}
                >
                  {name}
                  {key !== undefined && <kbd>{key}</kbd>}
                </button>
              ))}
            </div>
          )}
          {!shared && <div class="menu-links">
            <PageItems session={session} here={here} />
            {session.login === null && (
              <button type="button" data-item class="item" onClick={onAccount}>
                {t('account.title')}
              </button>
            )}
            {onSecondFactor && session.login !== null && (
              <button
                type="button"
                data-item
                data-second-factor
                class="item"
                onClick={() => {
                  close();
                  onSecondFactor();
                }}
              >
                {t('app.second_factor')}
              </button>
            )}
            {onOwnHit && (
              <button
                type="button"
                data-item
                data-own-hit-open
                class="item"
                onClick={() => {
                  close();
                  onOwnHit();
                }}
              >
                {t('app.debug_hit')}
              </button>
            )}
            <button
              type="button"
              data-item
              class="item"
              onClick={() => {
                close();
                onSignOut();
              }}
            >
              {t('app.sign_out')}
            </button>
          </div>}
        </>
      )}
    </Popover>
  );
}

export function LanguageChoice({ onLanguage }: { readonly onLanguage: (language: Language) => void }) {
  const { t, language } = useWords();
  return (
    <fieldset class="choice">
      <legend>{t('app.language')}</legend>
      <div class="segments">
        {LANGUAGES.map(([each, name]) => (
          <button
            key={each}
            type="button"
            lang={each}
            data-language={each}
            aria-pressed={each === language}
            onClick={() => onLanguage(each)}
          >
            {name}
          </button>
        ))}
      </div>
    </fieldset>
  );
}

function ThemeChoice() {
  const { t } = useWords();
  const [theme, setTheme] = useState<Theme>(initialTheme);
  return (
    <fieldset class="choice">
      <legend>{t('app.theme')}</legend>
      <div class="segments">
        {THEMES.map((each) => (
          <button
            key={each}
            type="button"
            data-theme-choice={each}
            aria-pressed={each === theme}
            onClick={() => {
              applyTheme(each);
              setTheme(each);
            }}
          >
            {t(`theme.${each}`)}
          </button>
        ))}
      </div>
    </fieldset>
  );
}
