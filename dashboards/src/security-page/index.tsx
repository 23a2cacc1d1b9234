/**
 * The security page: whether a visitor is plausible, what one did, statistics of addresses.
 * For the roles security and owner; the others are told so.
 *
 * The address says the site (`?site=`) and the section (`#check`), and never who
 * somebody is or which address is looked at.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { sites as fetchSites } from '../api/client';
import type { Session, Site } from '../api/types';
import { maySecure } from '../model/roles';
import { useLoaded } from '../officer/parts/load';
import { Region } from '../officer/parts/region';
import { Boundary } from '../parts/boundary';
import { Icon, Mark } from '../parts/icons';
import { Menu } from '../parts/menu';
import { PageNav } from '../parts/page-nav';
import type { Language } from '../words/language';
import { Addresses } from './addresses';
import { Case } from './case';
import { Check } from './check';
import { HereContext } from './here';
import { readPlace, SECTIONS, writePlace, type Section } from './model/place';
import { useSecurity } from './words';
import '../style/officer.css';
import './security.css';

interface Props {
  readonly session: Session;
  readonly onLanguage: (language: Language) => void;
  readonly onAccount: () => void;
  readonly onSignOut: () => void;
}

export function SecurityPage(props: Props) {
  const { t } = useSecurity();
  const may = maySecure(props.session);
  const section = useSection();
  const [chosen, setChosen] = useState(() => new URLSearchParams(location.search).get('site') ?? '');
  const choose = useCallback((id: string) => {
    history.replaceState(null, '', `${location.pathname}?${new URLSearchParams({ site: id })}${location.hash}`);
    setChosen(id);
  }, []);

  useEffect(() => {
    document.title = `${t(`section.${section}`)} · ${t('security.title')} · ${t('app.name')}`;
  }, [section, t]);

  return (
    <div class="office security-page">
      <a class="skip" href="#security-main" onClick={focusMain}>
        {t('office.skip')}
      </a>
      <header class="header">
        <div class="header-row">
          <a class="brand" href="/" aria-label={t('office.to_numbers')}>
            <Mark />
            <span class="brand-name">{t('app.name')}</span>
          </a>
          <p class="site-name office-name">{t('security.title')}</p>
          <PageNav session={props.session} here="security" />
          <span class="spring" />
          <Menu {...props} here="security" />
        </div>
      </header>
      {may ? (
        <div class="office-page">
          <Sections section={section} />
          <main id="security-main" class="office-main" tabIndex={-1} data-section={section} data-item="">
            <Heading section={section} />
            <Content section={section} chosen={chosen} onSite={choose} />
          </main>
        </div>
      ) : (
        <main id="security-main" class="page" tabIndex={-1}>
          <section class="card notice" data-denied>
            <h1>{t('security.denied_title')}</h1>
            <p>{t('security.denied_text', { role: props.session.role })}</p>
            <p>
              <a href="/">{t('officer.back')}</a>
            </p>
          </section>
        </main>
      )}
    </div>
  );
}

interface ContentProps {
  readonly section: Section;
  readonly chosen: string;
  readonly onSite: (id: string) => void;
}

function Content({ section, chosen, onSite }: ContentProps) {
  const { t } = useSecurity();
  const load = useLoaded('sites', (signal) => fetchSites(signal));
  return (
    <Region name="sites" load={load} empty={t('site.none_text')} isEmpty={(all) => all.length === 0}>
      {(sites) => {
        const site = sites.find((each) => each.id === chosen) ?? sites[0];
        if (!site) return null;
        return (
          <HereContext.Provider value={{ sites, site, onSite }}>
            {sites.length > 1 && <SiteChoice sites={sites} site={site.id} onSite={onSite} />}
            <Boundary key={`${section} ${site.id}`}><Shown section={section} /></Boundary>
            <p class="office-foot">{t('footer.zone', { zone: site.timezone })}</p>
          </HereContext.Provider>
        );
      }}
    </Region>
  );
}

function Shown({ section }: { readonly section: Section }) {
  switch (section) {
    case 'check':
      return <Check />;
    case 'case':
      return <Case />;
    case 'addresses':
      return <Addresses />;
  }
}

interface SiteChoiceProps {
  readonly sites: readonly Site[];
  readonly site: string;
  readonly onSite: (id: string) => void;
}

function SiteChoice({ sites, site, onSite }: SiteChoiceProps) {
  const { t } = useSecurity();
  return (
    <div class="office-bar">
      <label class="bar-field">
        <span>{t('site.label')}</span>
        <span class="site-picker">
          <select value={site} data-site-choice onChange={(event) => onSite(event.currentTarget.value)}>
            {sites.map((each) => (
              <option key={each.id} value={each.id}>
                {each.id}
              </option>
            ))}
          </select>
          <Icon name="down" />
        </span>
      </label>
    </div>
  );
}

function Sections({ section }: { readonly section: Section }) {
  const { t } = useSecurity();
  const list = useRef<HTMLUListElement>(null);
  // On a phone the list is wider than the screen: where one is must be seen in it.
  useEffect(() => {
    const here = list.current?.querySelector<HTMLElement>('[aria-current]');
    if (list.current && here) list.current.scrollLeft = here.offsetLeft - list.current.offsetLeft - 40;
  }, [section]);
  return (
    <nav class="office-nav" aria-label={t('office.sections')}>
      <ul ref={list}>
        {SECTIONS.map((each) => (
          <li key={each}>
            <a href={writePlace(each)} data-section-link={each} aria-current={each === section ? 'page' : undefined}>
              {t(`section.${each}`)}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** Gets the focus when the section changes, so that what is new is heard first. */
function Heading({ section }: { readonly section: Section }) {
  const { t } = useSecurity();
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    heading.current?.focus({ preventScroll: true });
  }, [section]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {t(`section.${section}`)}
    </h1>
  );
}

/** The section that the address says. */
function useSection(): Section {
  const [section, setSection] = useState(() => readPlace(location.hash));
  useEffect(() => {
    const moved = () => setSection(readPlace(location.hash));
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  return section;
}

function focusMain(event: Event): void {
  event.preventDefault();
  document.getElementById('security-main')?.focus();
}
