/**
 * The dashboard under a shared link: guarded numbers of one site, with the filters
 * of the link on every question. Calls carry the link and no session.
 */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { carryLink, onSignedOut, sites as fetchSites, ApiError } from '../api/client';
import { kept as fetchKept, type Kept } from '../api/kept';
import type { Session } from '../api/types';
import { flat } from '../beyond/model/flat';
import { Failure } from '../parts/failure';
import { Icon, Mark } from '../parts/icons';
import { LanguageChoice } from '../parts/menu';
import { Dashboard } from '../screens/dashboard';
import { filterParts } from '../words/labels';
import type { Language } from '../words/language';
import { linkSecret, SharedContext } from './shared';
import { useShare } from './words';
import './share.css';

/** A link is a viewer of its site. */
const GUEST: Session = { login: null, role: 'viewer', guarded: true };

type Stage =
  | { readonly at: 'asking' | 'gone' }
  | { readonly at: 'failed'; readonly error: unknown }
  | { readonly at: 'open'; readonly site: string; readonly zone: string; readonly kept: Kept | null };

export function Shared({ onLanguage }: { readonly onLanguage: (language: Language) => void }) {
  const { t } = useShare();
  const secret = useMemo(() => linkSecret(location.pathname), []);
  const [stage, setStage] = useState<Stage>({ at: 'asking' });
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    if (secret === '') return setStage({ at: 'gone' });
    const abort = new AbortController();
    carryLink(secret);
    onSignedOut(() => setStage({ at: 'gone' }));
    const look = async () => {
      const [site] = await fetchSites(abort.signal);
      if (!site) return setStage({ at: 'gone' });
      // What the link narrows is said where the server says it; the numbers do not wait for it.
      const kept = await fetchKept(site.id, abort.signal).catch(() => null);
      if (!abort.signal.aborted) setStage({ at: 'open', site: site.id, zone: site.timezone, kept });
    };
    look().catch((error: unknown) => {
      if (abort.signal.aborted) return;
      if (!(error instanceof ApiError && error.kind === 'signed-out')) setStage({ at: 'failed', error });
    });
    return () => abort.abort();
  }, [secret, attempt]);

  switch (stage.at) {
    case 'asking':
      return <div class="page-wait" role="status" aria-label={t('app.loading')} />;
    case 'failed':
      return (
        <main class="page-wait">
          <Failure error={stage.error} retry={() => setAttempt(attempt + 1)} />
        </main>
      );
    case 'gone':
      return <Gone onLanguage={onLanguage} />;
    case 'open':
      return (
        <SharedContext.Provider value={true}>
          <Banner site={stage.site} zone={stage.zone} kept={stage.kept} />
          <Dashboard session={GUEST} onLanguage={onLanguage} onAccount={nothing} onSignOut={nothing} />
        </SharedContext.Provider>
      );
  }
}

interface BannerProps {
  readonly site: string;
  readonly zone: string;
  readonly kept: Kept | null;
}

/** What kind of numbers these are, and what cannot be taken off them. */
function Banner({ site, zone, kept }: BannerProps) {
  const words = useShare();
  const { t, format, language } = words;
  const filters = kept?.link?.filters ?? [];
  const clauses = flat(filters);
  const expires = kept?.link?.expires ?? null;
  const until =
    expires === null
      ? null
      : new Intl.DateTimeFormat(language, { timeZone: zone, day: 'numeric', month: 'long', year: 'numeric' }).format(expires);
  const k = kept?.min_group ?? 10;
  return (
    <aside class="shared" aria-label={t('share.label')} data-shared={site}>
      <p>
        <Icon name="lock" />
        <span>
          <b>{t('share.title')}</b> {k > 1 && t('share.rounded', { count: k, k: format.number(k) })}
          {/* The sentence has a full stop of its own. */}
          {until !== null && ` ${t('share.until', { day: until.replace(/\s*г\.$/, '') })}`}
        </span>
      </p>
      {filters.length > 0 && (
        <ul aria-label={t('share.filters')}>
          {clauses === null ? (
            <li class="chip shared-chip">{t('share.narrowed')}</li>
          ) : (
            clauses.map((clause) => {
              const [dimension, operator, value] = filterParts(words, clause);
              return (
                <li class="chip shared-chip" key={JSON.stringify(clause)} data-forced={clause[1]}>
                  <Icon name="lock" />
                  <span class="visually-hidden">{t('share.forced')} </span>
                  <span>
                    {dimension} <i>{operator}</i> <b>{value}</b>
                  </span>
                </li>
              );
            })
          )}
        </ul>
      )}
    </aside>
  );
}

function Gone({ onLanguage }: { readonly onLanguage: (language: Language) => void }) {
  const { t } = useShare();
  return (
    <div class="gate" data-link-gone>
      <main class="gate-card">
        <p class="brand">
          <Mark />
          {t('app.name')}
        </p>
        <h1>{t('share.gone')}</h1>
        <p class="gate-lead">{t('share.gone_text')}</p>
      </main>
      <footer class="gate-foot">
        <LanguageChoice onLanguage={onLanguage} />
      </footer>
    </div>
  );
}

function nothing(): void {
  // Who came by a link has no account.
}
