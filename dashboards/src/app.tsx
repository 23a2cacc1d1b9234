/**
 * Who is here decides what is shown: sign-in, the offer of an account after a
 * one-time code, the dashboard, or at an address of its own another page. The
 * address stays, so that a link survives the sign-in. Who comes by a shared link
 * needs no account.
 */
import { useCallback, useEffect, useLayoutEffect, useMemo, useState } from 'preact/hooks';
import { onSignedOut, session as fetchSession, signOut } from './api/client';
import type { Session } from './api/types';
import { forgetAnswers } from './load';
import { OFFICER_PATH, PAGE_PATHS, PEOPLE_PATH, SECURITY_PATH, SETTINGS_PATH } from './model/roles';
import { Boundary } from './parts/boundary';
import { Failure } from './parts/failure';
import { Account } from './screens/account';
import { Dashboard } from './screens/dashboard';
import { OfficerDoor, PeopleDoor, SecurityDoor, SettingsDoor } from './screens/page-doors';
import { ShareDoor } from './share/door';
import { isShareAddress } from './share/shared';
import { SignIn } from './screens/sign-in';
import { initialLanguage, keepLanguage } from './settings';
import { words, WordsContext, type Language } from './words/language';

type Stage =
  | { readonly at: 'asking' }
  | { readonly at: 'failed'; readonly error: unknown }
  | { readonly at: 'sign-in' }
  | { readonly at: 'account' | 'dashboard'; readonly session: Session };

/** What is shown at the addresses of their own. */
const SCREENS = new Map([
  [OFFICER_PATH, OfficerDoor],
  [SECURITY_PATH, SecurityDoor],
  [SETTINGS_PATH, SettingsDoor],
  [PEOPLE_PATH, PeopleDoor],
]);

export function App() {
  const [language, setLanguage] = useState<Language>(initialLanguage);
  const [stage, setStage] = useState<Stage>({ at: 'asking' });
  const spoken = useMemo(() => words(language), [language]);

  const chooseLanguage = useCallback((chosen: Language) => {
    keepLanguage(chosen);
    setLanguage(chosen);
  }, []);

  const look = useCallback(async (fresh: boolean) => {
    try {
      const session = await fetchSession();
      if (!session) return setStage({ at: 'sign-in' });
      if (location.pathname !== '/' && !PAGE_PATHS.includes(location.pathname)) {
        history.replaceState(null, '', `/${location.search}`);
      }
      setStage({ at: fresh && session.login === null ? 'account' : 'dashboard', session });
    } catch (error) {
      setStage({ at: 'failed', error });
    }
  }, []);

  const leave = useCallback(() => {
    forgetAnswers();
    setStage({ at: 'sign-in' });
  }, []);

  const byLink = isShareAddress(location.pathname);
  useEffect(() => {
    if (byLink) return;
    onSignedOut(leave);
    void look(false);
  }, [byLink, leave, look]);

  // Before the effects of the page, which knows a better title.
  useLayoutEffect(() => {
    document.documentElement.lang = language;
    document.title = spoken.t('app.name');
  }, [language, spoken]);

  const screen = () => {
    switch (stage.at) {
      case 'asking':
        return <div class="page-wait" role="status" aria-label={spoken.t('app.loading')} />;
      case 'failed':
        return (
          <main class="page-wait">
            <Failure error={stage.error} retry={() => void look(false)} />
          </main>
        );
      case 'sign-in':
        return <SignIn onLanguage={chooseLanguage} onDone={() => void look(true)} />;
      case 'account':
        return (
          <Account
            onLanguage={chooseLanguage}
            onDone={() => void look(false)}
            onLater={() => setStage({ at: 'dashboard', session: stage.session })}
          />
        );
      case 'dashboard': {
        const Screen = SCREENS.get(location.pathname) ?? Dashboard;
        return (
          <Screen
            session={stage.session}
            onLanguage={chooseLanguage}
            onAccount={() => setStage({ at: 'account', session: stage.session })}
            onSignOut={() =>
              void signOut()
                .catch(() => undefined)
                .then(leave)
            }
          />
        );
      }
    }
  };

  return (
    <WordsContext.Provider value={spoken}>
      <Boundary>{byLink ? <ShareDoor onLanguage={chooseLanguage} /> : screen()}</Boundary>
    </WordsContext.Provider>
  );
}
