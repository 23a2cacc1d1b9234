/**
 * The officer's page: requests of data subjects, disclosures, incidents, the
 * audit trail, the policy and its terms. Loaded only by those who may.
 *
 * The address says the site (`?site=`) and the place (`#requests/2026-0001`), and
 * never who somebody is.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { sites as fetchSites } from '../api/client';
import type { Session, Site } from '../api/types';
import { Boundary } from '../parts/boundary';
import { Icon, Mark } from '../parts/icons';
import { Menu } from '../parts/menu';
import { PageNav } from '../parts/page-nav';
import type { Language } from '../words/language';
import { Audit } from './audit';
import { Disclosures } from './disclosures';
import { Incidents } from './incidents';
import { readPlace, SECTIONS, writePlace, type Place } from './model/place';
import { OfficeContext } from './office';
import { Overview } from './overview';
import { useLoaded } from './parts/load';
import { Region } from './parts/region';
import { Policy } from './policy';
import { Requests } from './requests';
import { Retention } from './retention';
import { SecondFactor } from './second-factor';
import { useOffice } from './words';
import '../style/officer.css';

interface Props {
  readonly session: Session;
  readonly onLanguage: (language: Language) => void;
  readonly onAccount: () => void;
  readonly onSignOut: () => void;
}

export function Officer(props: Props) {
  const { t } = useOffice();
  const load = useLoaded('sites', (signal) => fetchSites(signal));
  const [chosen, setChosen] = useState(() => new URLSearchParams(location.search).get('site') ?? '');
  const place = usePlace();
  const sites = load.answer ?? [];
  const site = sites.some((each) => each.id === chosen) ? chosen : '';

  const choose = useCallback((id: string) => {
    const search = id === '' ? '' : `?${new URLSearchParams({ site: id })}`;
    history.replaceState(null, '', `${location.pathname}${search}${location.hash}`);
    setChosen(id);
  }, []);

  useEffect(() => {
    document.title = `${t(`section.${place.section}`)} · ${t('app.name')}`;
  }, [place.section, t]);

  const zone = (sites.find((each) => each.id === site) ?? sites[0])?.timezone ?? 'UTC';
  return (
    <div class="office">
      <a class="skip" href="#office-main" onClick={focusMain}>
        {t('office.skip')}
      </a>
      <header class="header">
        <div class="header-row">
          <a class="brand" href="/" aria-label={t('office.to_numbers')}>
            <Mark />
            <span class="brand-name">{t('app.name')}</span>
          </a>
          <p class="site-name office-name">{t('office.title')}</p>
          <PageNav session={props.session} here="officer" />
          <span class="spring" />
          {sites.length > 1 && <SiteChoice sites={sites} site={site} onSite={choose} />}
          <Menu {...props} here="officer" />
        </div>
      </header>
      <div class="office-page">
        <Sections place={place} />
        <main id="office-main" class="office-main" tabIndex={-1} data-section={place.section} data-item={place.item}>
          <Heading place={place} />
          <Region name="sites" load={load} empty={t('site.none_text')} isEmpty={(all) => all.length === 0}>
            {(all) => (
              <OfficeContext.Provider value={{ session: props.session, sites: all, chosen: site, zone }}>
                <Boundary key={`${place.section} ${place.item}`}>
                  <Shown place={place} />
                </Boundary>
              </OfficeContext.Provider>
            )}
          </Region>
          <p class="office-foot">{t('footer.zone', { zone })}</p>
        </main>
      </div>
    </div>
  );
}

function Sections({ place }: { readonly place: Place }) {
  const { t } = useOffice();
  const list = useRef<HTMLUListElement>(null);
  // On a phone the list is wider than the screen: where one is must be seen in it.
  useEffect(() => {
    const here = list.current?.querySelector<HTMLElement>('[aria-current]');
    if (list.current && here) list.current.scrollLeft = here.offsetLeft - list.current.offsetLeft - 40;
  }, [place.section]);
  return (
    <nav class="office-nav" aria-label={t('office.sections')}>
      <ul ref={list}>
        {SECTIONS.map((section) => (
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

function Shown({ place: { section, item } }: { readonly place: Place }) {
  switch (section) {
    case 'overview':
      return <Overview />;
    case 'requests':
      return <Requests item={item} />;
    case 'disclosures':
      return <Disclosures item={item} />;
    case 'incidents':
      return <Incidents item={item} />;
    case 'audit':
      return <Audit />;
    case 'policy':
      return <Policy />;
    case 'retention':
      return <Retention />;
    case 'account':
      return <SecondFactor />;
  }
}

/** Gets the focus when the place changes, so that what is new is heard first. */
function Heading({ place }: { readonly place: Place }) {
  const { t } = useOffice();
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
  readonly site: string;
  readonly onSite: (id: string) => void;
}

function SiteChoice({ sites, site, onSite }: SiteChoiceProps) {
  const { t } = useOffice();
  return (
    <label class="site-picker">
      <span class="visually-hidden">{t('site.label')}</span>
      <select value={site} data-site-choice onChange={(event) => onSite(event.currentTarget.value)}>
        <option value="">{t('office.all_sites')}</option>
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

/** Where the address says one is. */
function usePlace(): Place {
  const [place, setPlace] = useState(() => readPlace(location.hash));
  useEffect(() => {
    const moved = () => setPlace(readPlace(location.hash));
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  return place;
}

function focusMain(event: Event): void {
  event.preventDefault();
  document.getElementById('office-main')?.focus();
}
