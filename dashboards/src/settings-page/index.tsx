/**
 * The settings of a site: goals, funnels, segments, notes, shared links, reports
 * by mail, and the line to embed. The owner changes all of it, the others keep
 * segments and notes.
 *
 * The address says the site (`?site=`) and the place (`#goals/new`).
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { sites as fetchSites } from '../api/client';
import { kept as fetchKept } from '../api/kept';
import type { Session, Site } from '../api/types';
import { mayManage } from '../model/roles';
import { useLoaded } from '../officer/parts/load';
import { Region } from '../officer/parts/region';
import { Boundary } from '../parts/boundary';
import { Icon, Mark } from '../parts/icons';
import { Menu } from '../parts/menu';
import { PageNav } from '../parts/page-nav';
import { nameSegments } from '../words/segments';
import type { Language } from '../words/language';
import { Embed } from './embed';
import { Funnels } from './funnels';
import { Goals } from './goals';
import { HereContext } from './here';
import { Links } from './links';
import { readPlace, sectionsOf, writePlace, type Place } from './model/place';
import { Notes } from './notes';
import { Reports } from './reports';
import { Segments } from './segments';
import { useSettings } from './words';
import '../style/officer.css';
import './settings.css';

interface Props {
  readonly session: Session;
  readonly onLanguage: (language: Language) => void;
  readonly onAccount: () => void;
  readonly onSignOut: () => void;
}

export function SettingsPage(props: Props) {
  const { t } = useSettings();
  const load = useLoaded('sites', (signal) => fetchSites(signal));
  const [chosen, setChosen] = useState(() => new URLSearchParams(location.search).get('site') ?? '');
  const place = usePlace(props.session);
  const sites = load.answer ?? [];
  const site = sites.find((each) => each.id === chosen) ?? sites[0];

  const choose = useCallback((id: string) => {
    history.replaceState(null, '', `${location.pathname}?${new URLSearchParams({ site: id })}${location.hash}`);
    setChosen(id);
  }, []);

  useEffect(() => {
    document.title = `${t(`section.${place.section}`)} · ${t('settings.title')} · ${t('app.name')}`;
  }, [place.section, t]);

  return (
    <div class="office settings-page">
      <a class="skip" href="#settings-main" onClick={focusMain}>
        {t('settings.skip')}
      </a>
      <header class="header">
        <div class="header-row">
          <a class="brand" href={site ? `/?${new URLSearchParams({ site: site.id })}` : '/'} aria-label={t('settings.to_numbers')}>
            <Mark />
            <span class="brand-name">{t('app.name')}</span>
          </a>
          <p class="site-name office-name">{t('settings.title')}</p>
          <PageNav session={props.session} here="settings" />
          <span class="spring" />
          {site && <SiteChoice sites={sites} site={site} onSite={choose} />}
          <Menu {...props} here="settings" />
        </div>
      </header>
      <div class="office-page">
        <Sections place={place} session={props.session} />
        <main id="settings-main" class="office-main" tabIndex={-1} data-section={place.section} data-item={place.item}>
          <Heading place={place} />
          <Region name="sites" load={load} empty={t('site.none_text')} isEmpty={(all) => all.length === 0}>
            {() =>
              site && (
                <OfSite key={site.id} site={site} session={props.session} place={place} />
              )
            }
          </Region>
        </main>
      </div>
    </div>
  );
}

interface OfSiteProps {
  readonly site: Site;
  readonly session: Session;
  readonly place: Place;
}

function OfSite({ site, session, place }: OfSiteProps) {
  const load = useLoaded(`settings ${site.id}`, async (signal) => {
    const answer = await fetchKept(site.id, signal);
    nameSegments(answer.segments);
    return answer;
  });
  return (
    <Region name="settings" load={load}>
      {(kept) => (
        <HereContext.Provider value={{ session, site, kept, owner: mayManage(session), changed: load.again }}>
          <Boundary key={`${place.section} ${place.item}`}>
            <Shown place={place} />
          </Boundary>
        </HereContext.Provider>
      )}
    </Region>
  );
}

function Shown({ place: { section, item } }: { readonly place: Place }) {
  switch (section) {
    case 'goals':
      return <Goals item={item} />;
    case 'funnels':
      return <Funnels item={item} />;
    case 'segments':
      return <Segments item={item} />;
    case 'notes':
      return <Notes item={item} />;
    case 'links':
      return <Links item={item} />;
    case 'reports':
      return <Reports item={item} />;
    case 'embed':
      return <Embed />;
  }
}

function Sections({ place, session }: { readonly place: Place; readonly session: Session }) {
  const { t } = useSettings();
  const list = useRef<HTMLUListElement>(null);
  // On a phone the list is wider than the screen: where one is must be seen in it.
  useEffect(() => {
    const here = list.current?.querySelector<HTMLElement>('[aria-current]');
    if (list.current && here) list.current.scrollLeft = here.offsetLeft - list.current.offsetLeft - 40;
  }, [place.section]);
  return (
    <nav class="office-nav" aria-label={t('settings.sections')}>
      <ul ref={list}>
        {sectionsOf(session).map((section) => (
          <li key={section}>
            <a
              href={writePlace(section)}
              data-section-link={section}
              aria-current={section === place.section ? 'page' : undefined}
            >
              {t(`section.${section}`)}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** Gets the focus when the place changes, so that what is new is heard first. */
function Heading({ place }: { readonly place: Place }) {
  const { t } = useSettings();
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    heading.current?.focus({ preventScroll: true });
  }, [place.section, place.item]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {t(`section.${place.section}`)}
    </h1>
  );
}

interface SiteChoiceProps {
  readonly sites: readonly Site[];
  readonly site: Site;
  readonly onSite: (id: string) => void;
}

function SiteChoice({ sites, site, onSite }: SiteChoiceProps) {
  const { t } = useSettings();
  if (sites.length === 1) return <p class="site-name">{site.id}</p>;
  return (
    <label class="site-picker">
      <span class="visually-hidden">{t('site.label')}</span>
      <select value={site.id} data-site-choice onChange={(event) => onSite(event.currentTarget.value)}>
        {sites.map((each) => (
          <option key={each.id} value={each.id} selected={each.id === site.id}>
            {each.id}
          </option>
        ))}
      </select>
      <Icon name="down" />
    </label>
  );
}

/** Where the address says one is. */
function usePlace(session: Session): Place {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const moved = () => setHash(location.hash);
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  return readPlace(hash, session);
}

function focusMain(event: Event): void {
  event.preventDefault();
  document.getElementById('settings-main')?.focus();
}
