/**
 * The doors to the settings of a site, to people and tokens, to the security and
 * the officer's page: parts of their own, loaded when they are opened, so that they
 * cost those who only look at numbers nothing. Who may not is told so by the page.
 */
import type { ComponentChildren } from 'preact';
import { Failure } from '../parts/failure';
import { useLate, type Late } from '../parts/late';
import type { PageProps } from '../parts/menu';
import { useWords } from '../words/language';

export function SettingsDoor(props: PageProps) {
  const late = useLate(() => import('../settings-page'));
  return <Door late={late}>{late.part && <late.part.SettingsPage {...props} />}</Door>;
}

export function PeopleDoor(props: PageProps) {
  const late = useLate(() => import('../people-page'));
  return <Door late={late}>{late.part && <late.part.PeoplePage {...props} />}</Door>;
}

export function SecurityDoor(props: PageProps) {
  const late = useLate(() => import('../security-page'));
  return <Door late={late}>{late.part && <late.part.SecurityPage {...props} />}</Door>;
}

export function OfficerDoor(props: PageProps) {
  const late = useLate(() => import('../officer'));
  return <Door late={late}>{late.part && <late.part.OfficerPage {...props} />}</Door>;
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
