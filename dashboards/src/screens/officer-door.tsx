/**
 * The door to the officer's page: who may passes and has it loaded, the others
 * are told what it needs. The page itself is a part of its own, so that it costs
 * those who only look at numbers nothing.
 */
import type { Session } from '../api/types';
import { mayOffice } from '../model/roles';
import { Failure } from '../parts/failure';
import { Mark } from '../parts/icons';
import { useLate } from '../parts/late';
import { Menu } from '../parts/menu';
import { useWords, type Language } from '../words/language';

interface Props {
  readonly session: Session;
  readonly onLanguage: (language: Language) => void;
  readonly onAccount: () => void;
  readonly onSignOut: () => void;
}

export function OfficerDoor(props: Props) {
  const { t } = useWords();
  const may = mayOffice(props.session);
  const { part, error, retry } = useLate(() => import('../officer'), may);

  if (part && may) return <part.Officer {...props} />;
  if (may) {
    return (
      <main class="page-wait">
        {error === null ? (
          <div role="status" aria-label={t('app.loading')} />
        ) : (
          <Failure error={error} retry={retry} />
        )}
      </main>
    );
  }
  return (
    <>
      <header class="header">
        <div class="header-row">
          <a class="brand" href="/" aria-label={t('app.name')}>
            <Mark />
            <span class="brand-name">{t('app.name')}</span>
          </a>
          <span class="spring" />
          <Menu {...props} here="officer" />
        </div>
      </header>
      <main class="page">
        <section class="card notice" data-denied>
          <h1>{t('officer.denied_title')}</h1>
          <p>{t('officer.denied_text', { role: props.session.role })}</p>
          <p>
            <a href="/">{t('officer.back')}</a>
          </p>
        </section>
      </main>
    </>
  );
}
