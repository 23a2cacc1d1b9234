/**
 * The page of a site: header, filters, headline with graph, panels. Holds the
 * view (which the address mirrors) and the clock that refreshes it. All its
 * numbers are asked in one request.
 */
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import { sites as fetchSites } from '../api/client';
import type { Site } from '../api/types';
import { BeyondDoor } from '../beyond/door';
import { KeepDoor } from '../beyond/keep-door';
import { exportAll } from '../export-all';
import { NOTHING_KEPT, useKept } from '../kept';
import { useAnswer } from '../load';
import { wallClock } from '../model/calendar';
import { headlineOf } from '../model/metrics';
import { MARKS, PANELS } from '../model/panels';
import { daysAt, intervalsOf, shifted, type Now } from '../model/period';
import { intervalOf, totalsQuery } from '../model/questions';
import type { Shortcut } from '../model/shortcuts';
import { fitted, isOfGoal, withToggled, type View } from '../model/view';
import { BreakdownPanel } from '../panels/breakdown';
import { FirstVisit } from '../panels/first-visit';
import { Headline } from '../panels/headline';
import { OwnHitDialog } from '../panels/own-hit';
import { useAddress, type Address } from '../parts/address';
import { fileName } from '../parts/export-button';
import { Failure } from '../parts/failure';
import { FilterEditor } from '../parts/filter-editor';
import { Filters } from '../parts/filters';
import { Foot } from '../parts/foot';
import { GuardNote, Refused } from '../parts/guard';
import { Icon, Mark } from '../parts/icons';
import { LiveCount } from '../parts/live-count';
import { Menu, type Act, type PageProps } from '../parts/menu';
import { PeriodPicker } from '../parts/period-picker';
import { saveFile } from '../parts/save';
import { ShortcutsDialog, useShortcuts } from '../parts/shortcuts';
import { Working } from '../parts/working';
import { filterParts } from '../words/labels';
import { useShared } from '../share/shared';
import { useWords } from '../words/language';
import { SecondFactorDoor } from './second-factor-door';

/** Who may have marked hits in the numbers. */
const SEES_MARKED: readonly string[] = ['security', 'owner'];

/** How often the numbers are asked anew while the page is looked at, in milliseconds. */
const REFRESH_EVERY_MS = 60_000;

/** A group of fewer people is not shown, where the server does not say it otherwise. */
const MIN_GROUP = 10;

export function Dashboard(props: PageProps) {
  const { t } = useWords();
  const [sites, setSites] = useState<readonly Site[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);
  const address = useAddress();
  const { view } = address;

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
          address={{ ...address, view: { ...view, site: site.id } }}
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

interface SiteProps extends PageProps {
  readonly sites: readonly Site[];
  readonly site: Site;
  readonly address: Address;
}

/** What is open over the page; one at a time. `number` is the filter that is changed. */
type Open = 'own-hit' | 'second-factor' | 'keys' | 'new-filter' | number | null;

function SiteDashboard({ sites, site, address, session, onLanguage, onAccount, onSignOut }: SiteProps) {
  const { t } = useWords();
  const { view: asked, closer, onView } = address;
  const [refresh, refreshed, doRefresh] = useRefresh();
  const [open, setOpen] = useState<Open>(null);
  const [live, setLive] = useState(0);
  const [exportFailed, setExportFailed] = useState(false);
  const [changes, setChanges] = useState(0);
  const found = useKept(site.id, refresh + changes);
  const keptAll = useMemo(
    () => ({
      state: found ? ('ready' as const) : ('loading' as const),
      answer: found,
      error: null,
      again: () => setChanges((count) => count + 1),
    }),
    [found],
  );
  const kept = found ?? NOTHING_KEPT;
  // Whether a site guards its numbers is said with its settings: a viewer asks nothing before that.
  const viewer = session.guarded ?? session.role === 'viewer';
  const guarded = viewer && kept.guarded !== false;
  const known = !viewer || found !== null;
  const mayMark = SEES_MARKED.includes(session.role);
  const shared = useShared();
  const now = useMemo<Now>(() => {
    const [today, time] = wallClock(refreshed, site.timezone);
    return { today, time, timezone: site.timezone, guarded };
  }, [refreshed, site.timezone, guarded]);
  // A link from someone who may ask more shows the others their own numbers.
  const view = useMemo(() => fitted(asked, { marked: mayMark, guarded }, now.today), [asked, mayMark, guarded, now.today]);

  const totals = useAnswer(known ? totalsQuery(view, now) : null, `totals ${isOfGoal(view)}`, refresh);
  const guard = totals.answer?.meta.guard;
  const nothing =
    totals.state === 'ready' &&
    !guarded &&
    view.filters.length === 0 &&
    totals.answer !== null &&
    !totals.answer.results.some((row) => row.metrics.some((value) => value !== null && value !== 0));
  const metrics = headlineOf(isOfGoal(view));
  const visitors = totals.answer?.results[0]?.metrics[metrics.indexOf('visitors')] ?? null;
  const close = () => setOpen(null);

  useEffect(() => {
    document.title = `${site.id} · ${t('app.name')}`;
  }, [site.id, t]);

  useEffect(() => {
    if (!closer) return;
    const leave = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !event.defaultPrevented && !document.querySelector('dialog[open]')) history.back();
    };
    document.addEventListener('keydown', leave);
    return () => document.removeEventListener('keydown', leave);
  }, [closer]);

  const onPeriod = (period: string) => onView({ ...view, period, interval: null });
  useShortcuts(guarded, (shortcut: Shortcut, nth: number) => {
    const step = (direction: -1 | 1) => {
      const period = shifted(view.period, daysAt(view.period, now), now.today, direction, guarded);
      if (period !== null) onPeriod(period);
    };
    const next = <T,>(all: readonly T[], one: T): T | undefined => all[(all.indexOf(one) + 1) % all.length];
    const acts: Readonly<Record<Shortcut, () => void>> = {
      today: () => onPeriod('today'),
      yesterday: () => onPeriod('yesterday'),
      week: () => onPeriod('week'),
      month: () => onPeriod('month'),
      four_weeks: () => onPeriod('28d'),
      year: () => onPeriod('12mo'),
      earlier: () => step(-1),
      later: () => step(1),
      compare: () => onView({ ...view, compare: next(['previous', 'year', 'none'], view.compare) ?? 'previous' }),
      filter: () => setOpen('new-filter'),
      clear: () => view.filters.length > 0 && onView({ ...view, filters: [] }),
      interval: () =>
        onView({ ...view, interval: next(intervalsOf(daysAt(view.period, now)), intervalOf(view, now)) ?? null }, 'replace'),
      metric: () => onView({ ...view, metric: metrics[nth] ?? view.metric }, 'replace'),
      live: () => setLive(live + 1),
      refresh: doRefresh,
      help: () => setOpen('keys'),
    };
    acts[shortcut]();
  });

  const saveAll = async (format: 'csv' | 'json') => {
    setExportFailed(false);
    try {
      saveFile(fileName(view, now, 'all'), format, await exportAll(view, now, format));
    } catch {
      setExportFailed(true);
    }
  };
  const acts: readonly Act[] = [
    { id: 'export-csv', name: t('export.all_csv'), run: () => void saveAll('csv') },
    { id: 'export-json', name: t('export.all_json'), run: () => void saveAll('json') },
    { id: 'print', name: t('export.print'), run: () => window.print() },
    { id: 'keys', name: t('keys.title'), key: '?', run: () => setOpen('keys') },
  ];

  return (
    <>
      <header class="header">
        <div class="header-row">
          <Brand />
          <SitePicker sites={sites} site={site} onSite={(id) => onView({ ...view, site: id, filters: [] })} />
          <LiveCount
            site={site.id}
            toggle={live}
            onPage={(page) => onView(withToggled(view, 'event:page', page))}
          />
          <span class="spring" />
          <button
            type="button"
            class="button filter-add"
            data-filter-add
            aria-keyshortcuts="F"
            onClick={() => setOpen('new-filter')}
          >
            <Icon name="filter" />
            <span>{t('filter.add_one')}</span>
          </button>
          <PeriodPicker
            view={view}
            now={now}
            onPeriod={onPeriod}
            onCompare={(compare, weekdays) => onView({ ...view, compare, weekdays })}
          />
          <KeepDoor
            site={site.id}
            session={session}
            kept={keptAll}
            filters={view.filters}
            today={now.today}
            shared={shared}
            onFilters={(filters) => onView({ ...view, filters })}
          />
          <Menu
            session={session}
            acts={acts}
            onLanguage={onLanguage}
            onAccount={onAccount}
            onSignOut={onSignOut}
            onOwnHit={() => setOpen('own-hit')}
            onSecondFactor={() => setOpen('second-factor')}
          />
        </div>
        <Filters view={view} onView={onView} onEdit={setOpen} />
        <Working />
      </header>
      <main id="numbers" class="page" tabIndex={-1} data-site={site.id}>
        <h1 class="visually-hidden">{site.id}</h1>
        <PrintHead site={site} view={view} now={now} />
        {guarded && <GuardNote k={guard?.k ?? kept.min_group ?? MIN_GROUP} />}
        {exportFailed && (
          <p class="card page-problem" role="alert">
            {t('export.failed')}
          </p>
        )}
        <FirstVisit site={site} suspect={nothing} onArrived={doRefresh} onOwnHit={() => setOpen('own-hit')}>
          {!known ? (
            <div class="page-wait" role="status" aria-label={t('app.loading')} />
          ) : totals.state === 'failed' ? (
            <section class="card" data-region="headline" data-state="failed">
              <Failure error={totals.error} retry={totals.retry} />
            </section>
          ) : guard?.refused ? (
            <Refused guard={guard} view={view} onView={onView} />
          ) : (
            <>
              <Headline
                view={view}
                now={now}
                totals={totals}
                refresh={refresh}
                notes={kept.notes}
                onBack={closer ? () => history.back() : null}
                onView={onView}
              />
              <div class="panels">
                {PANELS.filter((panel) => panel.id !== MARKS || view.marked).map((panel) => (
                  <BreakdownPanel
                    key={panel.id}
                    panel={panel}
                    view={view}
                    now={now}
                    days={daysAt(view.period, now)}
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
                kept={keptAll}
                onView={onView}
              />
            </>
          )}
        </FirstVisit>
      </main>
      {open === 'own-hit' && <OwnHitDialog site={site} onClose={close} />}
      {open === 'second-factor' && <SecondFactorDoor onClose={close} />}
      {open === 'keys' && <ShortcutsDialog guarded={guarded} onClose={close} />}
      {(open === 'new-filter' || typeof open === 'number') && (
        <FilterEditor
          view={view}
          now={now}
          index={typeof open === 'number' ? open : null}
          kept={kept}
          onView={onView}
          onClose={close}
        />
      )}
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

/** On paper the controls are left out: what they say stands here. */
function PrintHead({ site, view, now }: { readonly site: Site; readonly view: View; readonly now: Now }) {
  const words = useWords();
  const days = daysAt(view.period, now);
  return (
    <div class="print-head" aria-hidden="true">
      <p class="print-site">{site.id}</p>
      <p>{days ? words.format.days(days) : words.find(`period.${view.period}`)}</p>
      {view.filters.map((filter, index) => (
        <p key={index}>{filterParts(words, filter).join(' ')}</p>
      ))}
    </div>
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
