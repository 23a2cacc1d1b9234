/**
 * The page of a site: header, filters, headline with graph, panels. Holds the
 * view (which the address mirrors) and the clock that refreshes it.
 */
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import { sites as fetchSites } from '../api/client';
import type { Attribution, Session, Site } from '../api/types';
import { BeyondDoor } from '../beyond/door';
import { useKept } from '../beyond/kept';
import { KeepDoor } from '../beyond/keep-door';
import { useAnswer } from '../load';
import { wallClock } from '../model/calendar';
import { HEADLINE } from '../model/metrics';
import { MARKS, PANELS } from '../model/panels';
import { daysOf, type Now } from '../model/period';
import { totalsQuery } from '../model/questions';
import { readView, writeView, type View } from '../model/view';
import { BreakdownPanel } from '../panels/breakdown';
import { FirstVisit } from '../panels/first-visit';
import { Headline } from '../panels/headline';
import { OwnHitDialog } from '../panels/own-hit';
import { Failure } from '../parts/failure';
import { Filters } from '../parts/filters';
import { Icon, Mark } from '../parts/icons';
import { LiveCount } from '../parts/live-count';
import { Menu } from '../parts/menu';
import { PeriodPicker } from '../parts/period-picker';
import { useShared } from '../share/shared';
import { useWords, type Language } from '../words/language';
import { SecondFactorDoor } from './second-factor-door';

/** Who may have marked hits in the numbers. */
const SEES_MARKED: readonly string[] = ['security', 'owner'];

/** How often the numbers are asked anew while the page is looked at, in milliseconds. */
const REFRESH_EVERY_MS = 60_000;

interface Props {
  readonly session: Session;
  readonly onLanguage: (language: Language) => void;
  readonly onAccount: () => void;
  readonly onSignOut: () => void;
}

export function Dashboard(props: Props) {
  const { t } = useWords();
  const [sites, setSites] = useState<readonly Site[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);
  const [view, setView] = useAddress();

  useEffect(() => {
    const abort = new AbortController();
    setError(null);
    fetchSites(abort.signal).then(setSites, (failure: unknown) => !abort.signal.aborted && setError(failure));
    return () => abort.abort();
  }, [attempt]);

  const site = sites?.find((each) => each.id === view.site) ?? sites?.[0];

  return (
    <>
      <a class="skip" href="#numbers">
        {t('app.skip')}
      </a>
      {site ? (
        <SiteDashboard
          {...props}
          key={site.id}
          sites={sites ?? []}
          site={site}
          view={{ ...view, site: site.id }}
          onView={setView}
        />
      ) : (
        <>
          <header class="header">
            <div class="header-row">
              <Brand />
              <span class="spring" />
              <Menu {...props} />
            </div>
          </header>
          <main id="numbers" class="page">
            {error !== null && <Failure error={error} retry={() => setAttempt(attempt + 1)} />}
            {sites && (
              <section class="card notice">
                <h1>{t('site.none_title')}</h1>
                <p>{t('site.none_text')}</p>
              </section>
            )}
          </main>
        </>
      )}
    </>
  );
}

interface SiteProps extends Props {
  readonly sites: readonly Site[];
  readonly site: Site;
  readonly view: View;
  readonly onView: (view: View, how?: 'push' | 'replace') => void;
}

function SiteDashboard({ sites, site, view: asked, onView, session, onLanguage, onAccount, onSignOut }: SiteProps) {
  const { t } = useWords();
  const [refresh, refreshed, doRefresh] = useRefresh();
  const mayMark = SEES_MARKED.includes(session.role);
  // A link from someone who may shows the others their own numbers.
  const view = asked.marked && !mayMark ? { ...asked, marked: false } : asked;
  const kept = useKept(site.id);
  const shared = useShared();
  const [ownHit, setOwnHit] = useState(false);
  const [secondFactor, setSecondFactor] = useState(false);
  const now = useMemo<Now>(() => {
    const [today, time] = wallClock(refreshed, site.timezone);
    return { today, time, timezone: site.timezone };
  }, [refreshed, site.timezone]);

  const totals = useAnswer(totalsQuery(view, now), 'totals', refresh);
  const nothing =
    totals.state === 'ready' &&
    view.filters.length === 0 &&
    totals.answer !== null &&
    !totals.answer.results.some((row) => row.metrics.some((value) => value !== null && value !== 0));

  const visitors = totals.answer?.results[0]?.metrics[HEADLINE.indexOf('visitors')] ?? null;

  useEffect(() => {
    document.title = `${site.id} · ${t('app.name')}`;
  }, [site.id, t]);

  return (
    <>
      <header class="header">
        <div class="header-row">
          <Brand />
          <SitePicker sites={sites} site={site} onSite={(id) => onView({ ...view, site: id, filters: [] })} />
          <LiveCount site={site.id} />
          <span class="spring" />
          <PeriodPicker
            period={view.period}
            compare={view.compare}
            now={now}
            onPeriod={(period) => onView({ ...view, period, interval: null })}
            onCompare={(compare) => onView({ ...view, compare })}
          />
          <KeepDoor
            site={site.id}
            session={session}
            kept={kept}
            filters={view.filters}
            today={now.today}
            shared={shared}
            onFilters={(filters) => onView({ ...view, filters })}
          />
          <Menu
            session={session}
            onLanguage={onLanguage}
            onAccount={onAccount}
            onSignOut={onSignOut}
            onOwnHit={() => setOwnHit(true)}
            onSecondFactor={() => setSecondFactor(true)}
          />
        </div>
        <Filters view={view} onView={onView} />
      </header>
      <main id="numbers" class="page" tabIndex={-1} data-site={site.id}>
        <h1 class="visually-hidden">{site.id}</h1>
        <FirstVisit site={site} suspect={nothing} onArrived={doRefresh} onOwnHit={() => setOwnHit(true)}>
          {totals.state === 'failed' ? (
            <section class="card" data-region="headline" data-state="failed">
              <Failure error={totals.error} retry={totals.retry} />
            </section>
          ) : (
            <>
              <Headline view={view} now={now} totals={totals} refresh={refresh} onView={onView} />
              <div class="panels">
                {PANELS.filter((panel) => panel.id !== MARKS || view.marked).map((panel) => (
                  <BreakdownPanel
                    key={panel.id}
                    panel={panel}
                    view={view}
                    now={now}
                    days={daysOf(view.period, now.today)}
                    visitors={visitors}
                    refresh={refresh}
                    onView={onView}
                  />
                ))}
              </div>
              <BeyondDoor
                site={site}
                session={session}
                view={view}
                now={now}
                refresh={refresh}
                kept={kept}
                onView={onView}
              />
            </>
          )}
        </FirstVisit>
      </main>
      {ownHit && <OwnHitDialog site={site} onClose={() => setOwnHit(false)} />}
      {secondFactor && <SecondFactorDoor onClose={() => setSecondFactor(false)} />}
      <Foot
        site={site}
        refreshed={refreshed}
        onRefresh={doRefresh}
        marked={mayMark ? view.marked : null}
        onMarked={(marked) => onView({ ...view, marked }, 'replace')}
      />
    </>
  );
}

function Brand() {
  const { t } = useWords();
  return (
    <a class="brand" href={useShared() ? location.pathname : '/'} aria-label={t('app.name')}>
      <Mark />
      <span class="brand-name">{t('app.name')}</span>
    </a>
  );
}

interface SitePickerProps {
  readonly sites: readonly Site[];
  readonly site: Site;
  readonly onSite: (id: string) => void;
}

function SitePicker({ sites, site, onSite }: SitePickerProps) {
  const { t } = useWords();
  if (sites.length === 1) {
    return (
      <p class="site-name" data-site-name>
        {site.id}
      </p>
    );
  }
  return (
    <label class="site-picker">
      <span class="visually-hidden">{t('site.label')}</span>
      <select value={site.id} onChange={(event) => onSite(event.currentTarget.value)}>
        {sites.map((each) => (
          <option key={each.id} value={each.id}>
            {each.id}
          </option>
        ))}
      </select>
      <Icon name="down" />
    </label>
  );
}

interface FootProps {
  readonly site: Site;
  readonly refreshed: Date;
  readonly onRefresh: () => void;
  /** Null for those who may not have them. */
  readonly marked: boolean | null;
  readonly onMarked: (marked: boolean) => void;
}

function Foot({ site, refreshed, onRefresh, marked, onMarked }: FootProps) {
  const { t, format } = useWords();
  const attribution = [site.attribution ?? []].flat().filter((text) => text !== '');
  return (
    <footer class="foot">
      <p>
        {t('footer.stale', { time: format.time(refreshed, site.timezone) })}{' '}
        <button type="button" class="quiet" data-refresh onClick={onRefresh}>
          <Icon name="refresh" />
          {t('footer.refresh')}
        </button>
      </p>
      <p>{t('footer.zone', { zone: site.timezone })}</p>
      {marked !== null && (
        <p>
          <label>
            <input
              type="checkbox"
              data-marked
              checked={marked}
              onChange={(event) => onMarked(event.currentTarget.checked)}
            />{' '}
            {t('footer.marked')}
          </label>
        </p>
      )}
      {attribution.length > 0 && (
        <p data-attribution>
          {t('footer.geo')}{' '}
          {attribution.map((line, index) => (
            <>
              {index > 0 && ' · '}
              {typeof line === 'string' ? line : <Credit {...line} />}
            </>
          ))}
        </p>
      )}
    </footer>
  );
}

function Credit({ text, url }: Attribution) {
  if (!url.startsWith('https://')) return <>{text}</>;
  return (
    <a href={url} rel="noreferrer">
      {text}
    </a>
  );
}

/** The view and the address, which say the same. */
function useAddress(): [View, (view: View, how?: 'push' | 'replace') => void] {
  const [view, setView] = useState<View>(() => readView(location.search));
  useEffect(() => {
    const back = () => setView(readView(location.search));
    window.addEventListener('popstate', back);
    return () => window.removeEventListener('popstate', back);
  }, []);
  const change = useCallback((next: View, how: 'push' | 'replace' = 'push') => {
    // A shared link keeps its own path.
    const address = `${location.pathname}${writeView(next)}`;
    if (how === 'push') history.pushState(null, '', address);
    else history.replaceState(null, '', address);
    setView(next);
  }, []);
  return [view, change];
}

/** Counts up every so often while the page is visible, and when it becomes so again. */
function useRefresh(): [number, Date, () => void] {
  const [state, setState] = useState(() => ({ count: 0, at: new Date() }));
  const refresh = useCallback(() => setState(({ count }) => ({ count: count + 1, at: new Date() })), []);
  useEffect(() => {
    const due = () => {
      if (document.visibilityState !== 'visible') return;
      setState((before) => {
        const at = new Date();
        return at.getTime() - before.at.getTime() < REFRESH_EVERY_MS ? before : { count: before.count + 1, at };
      });
    };
    const timer = setInterval(due, REFRESH_EVERY_MS / 4);
    document.addEventListener('visibilitychange', due);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', due);
    };
  }, []);
  return [state.count, state.at, refresh];
}
