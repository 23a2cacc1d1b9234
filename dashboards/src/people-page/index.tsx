/**
 * People and tokens: who may sign in and which programs may ask. The owner's
 * page; the others are told so.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import { sites as fetchSites } from '../api/client';
import { roster } from '../api/kept';
import type { Session } from '../api/types';
import { mayManage } from '../model/roles';
import { useLoaded } from '../officer/parts/load';
import { Region } from '../officer/parts/region';
import { Boundary } from '../parts/boundary';
import { Mark } from '../parts/icons';
import { Menu } from '../parts/menu';
import { PageNav } from '../parts/page-nav';
import type { Language } from '../words/language';
import { readPlace, SECTIONS, writePlace, type Place } from './model';
import { People } from './people';
import { Roles } from './roles';
import { Tokens } from './tokens';
import { usePeople } from './words';
import '../style/officer.css';
import '../settings-page/settings.css';

interface Props {
  readonly session: Session;
  readonly onLanguage: (language: Language) => void;
  readonly onAccount: () => void;
  readonly onSignOut: () => void;
}

export function PeoplePage(props: Props) {
  const { t } = usePeople();
  const place = usePlace();
  const may = mayManage(props.session);

  useEffect(() => {
    document.title = `${t(`section.${place.section}`)} · ${t('people.title')} · ${t('app.name')}`;
  }, [place.section, t]);

  return (
    <div class="office people-page">
      <a class="skip" href="#people-main" onClick={focusMain}>
        {t('people.skip')}
      </a>
      <header class="header">
        <div class="header-row">
          <a class="brand" href="/" aria-label={t('people.to_numbers')}>
            <Mark />
            <span class="brand-name">{t('app.name')}</span>
          </a>
          <p class="site-name office-name">{t('people.title')}</p>
          <PageNav session={props.session} here="people" />
          <span class="spring" />
          <Menu {...props} here="people" />
        </div>
      </header>
      {may ? (
        <div class="office-page">
          <Sections place={place} />
          <main
            id="people-main"
            class="office-main"
            tabIndex={-1}
            data-section={place.section}
            data-item={place.fresh ? 'new' : ''}
          >
            <Heading place={place} />
            <Content place={place} session={props.session} />
          </main>
        </div>
      ) : (
        <main id="people-main" class="page" tabIndex={-1}>
          <section class="card notice" data-denied>
            <h1>{t('people.denied_title')}</h1>
            <p>{t('people.denied_text', { role: props.session.role })}</p>
            <p>
              <a href="/">{t('officer.back')}</a>
            </p>
          </section>
        </main>
      )}
    </div>
  );
}

function Content({ place, session }: { readonly place: Place; readonly session: Session }) {
  const people = useLoaded('people', (signal) => roster(signal));
  const sites = useLoaded('sites', (signal) => fetchSites(signal));
  if (place.section === 'roles') return <Roles />;
  return (
    <Region name="people" load={people}>
      {(answer) => (
        <Boundary key={`${place.section} ${place.fresh}`}>
          {place.section === 'people' ? (
            <People roster={answer} session={session} fresh={place.fresh} changed={people.again} />
          ) : (
            <Tokens roster={answer} sites={sites.answer ?? []} fresh={place.fresh} changed={people.again} />
          )}
        </Boundary>
      )}
    </Region>
  );
}

function Sections({ place }: { readonly place: Place }) {
  const { t } = usePeople();
  return (
    <nav class="office-nav" aria-label={t('people.sections')}>
      <ul>
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

/** Gets the focus when the place changes, so that what is new is heard first. */
function Heading({ place }: { readonly place: Place }) {
  const { t } = usePeople();
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    heading.current?.focus({ preventScroll: true });
  }, [place.section, place.fresh]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {t(`section.${place.section}`)}
    </h1>
  );
}

/** Where the address says one is. */
function usePlace(): Place {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const moved = () => setHash(location.hash);
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  return readPlace(hash);
}

function focusMain(event: Event): void {
  event.preventDefault();
  document.getElementById('people-main')?.focus();
}
