/** The doors to the settings of a site, to people and tokens and to the security page: parts of their own, loaded when they are opened. */
import type { ComponentChildren } from 'preact';
import type { Session } from '../api/types';
import { Failure } from '../parts/failure';
import { useLate, type Late } from '../parts/late';
import { useWords, type Language } from '../words/language';

interface Props {
  readonly session: Session;
  readonly onLanguage: (language: Language) => void;
  readonly onAccount: () => void;
  readonly onSignOut: () => void;
}

export function SettingsDoor(props: Props) {
  const late = useLate(() => import('../settings-page'));
  return <Door late={late}>{late.part && <late.part.SettingsPage {...props} />}</Door>;
}

export function PeopleDoor(props: Props) {
  const late = useLate(() => import('../people-page'));
  return <Door late={late}>{late.part && <late.part.PeoplePage {...props} />}</Door>;
}

export function SecurityDoor(props: Props) {
  const late = useLate(() => import('../security-page'));
  return <Door late={late}>{late.part && <late.part.SecurityPage {...props} />}</Door>;
}

function Door({ late, children }: { readonly late: Late<unknown>; readonly children: ComponentChildren }) {
  const { t } = useWords();
  if (late.part !== null) return <>{children}</>;
  return (
    <main class="page-wait">
      {late.error === null ? (
        <div role="status" aria-label={t('app.loading')} />
      ) : (
        <Failure error={late.error} retry={late.retry} />
      )}
    </main>
  );
}
