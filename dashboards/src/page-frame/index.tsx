/**
 * The frame of a page with sections: settings, people, officer, security. The way
 * past the navigation, the header with the ways to the other pages, the choice of
 * a site and the menu, the list of sections, the heading, the title of the window.
 *
 * In: what the page is called, its sections, where in it one is, and what stands
 * there. A page about sites hands over its `Sites` (`sites.tsx`): the frame lets
 * one be chosen, waits for them and says when they fail or there are none.
 * `DeniedPage` is the same frame for somebody whose role is too small.
 *
 * The address says the section behind `#`, and `place.ts` follows it. Loaded with
 * the first of these pages: the first load of the app does not pay for it. The
 * dashboard has a header of its own, with a period and filters.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Region } from '../officer/parts/region';
import { useOffice } from '../officer/words';
import { Mark } from '../parts/icons';
import { Menu, type PageProps } from '../parts/menu';
import { PageNav, type PageName } from '../parts/page-nav';
import { SiteChoice, type Sites } from './sites';
import '../style/officer.css';

/** The part that the skip link leads to. */
const MAIN = 'page-main';

interface HeaderProps extends PageProps {
  readonly here: PageName;
  /** What the page is called. */
  readonly title: string;
  /** Absent where the page is about no site. */
  readonly sites?: Sites;
}

interface FrameProps<Section extends string> extends HeaderProps {
  /** In their order; the address of each is its name. */
  readonly sections: readonly Section[];
  readonly nameOf: (section: Section) => string;
  readonly section: Section;
  /** What of the section is shown; empty for the section itself. */
  readonly item?: string;
  /** Mounted once the sites are there, if the page is about sites. */
  readonly children: ComponentChildren;
  /** Below the content, whatever became of it. */
  readonly foot?: ComponentChildren;
}

interface DeniedProps extends HeaderProps {
  /** Which role it needs. */
  readonly needs: string;
  readonly why: string;
}

// === impl PageFrame ===

export function PageFrame<Section extends string>(props: FrameProps<Section>) {
  const { sections, nameOf, section, item = '', sites, title, children, foot } = props;
  const { t } = useOffice();
  const name = nameOf(section);
  useWindowTitle(name, title);
  return (
    <div class={`office ${props.here}-page`}>
      <Header {...props} />
      <div class="office-page">
        <Sections sections={sections} nameOf={nameOf} section={section} />
        <main id={MAIN} class="office-main" tabIndex={-1} data-section={section} data-item={item}>
          <Heading name={name} place={`${section}/${item}`} />
          {sites ? (
            <Region name="sites" load={sites.load} empty={t('site.none_text')} isEmpty={(all) => all.length === 0}>
              {() => children}
            </Region>
          ) : (
            children
          )}
          {foot}
        </main>
      </div>
    </div>
  );
}

// === impl DeniedPage ===

export function DeniedPage(props: DeniedProps) {
  const { t } = useOffice();
  useWindowTitle(props.title);
  return (
    <div class={`office ${props.here}-page`}>
      <Header {...props} />
      <main id={MAIN} class="page" tabIndex={-1}>
        <section class="card notice" data-denied>
          <h1>{props.needs}</h1>
          <p>{props.why}</p>
          <p>
            <a href="/">{t('office.back')}</a>
          </p>
        </section>
      </main>
    </div>
  );
}

function Header(props: HeaderProps) {
  const { session, here, title, sites } = props;
  const { t } = useOffice();
  const site = sites?.site;
  return (
    <>
      <a class="skip" href={`#${MAIN}`} onClick={focusMain}>
        {t('office.skip')}
      </a>
      <header class="header">
        <div class="header-row">
          <a
            class="brand"
            href={site ? `/?${new URLSearchParams({ site: site.id })}` : '/'}
            aria-label={t('office.to_numbers')}
          >
            <Mark />
            <span class="brand-name">{t('app.name')}</span>
          </a>
          <p class="site-name office-name">{title}</p>
          <PageNav session={session} here={here} />
          <span class="spring" />
          {sites && <SiteChoice sites={sites} />}
          <Menu {...props} here={here} />
        </div>
      </header>
    </>
  );
}

interface SectionsProps<Section extends string> {
  readonly sections: readonly Section[];
  readonly nameOf: (section: Section) => string;
  readonly section: Section;
}

function Sections<Section extends string>({ sections, nameOf, section }: SectionsProps<Section>) {
  const { t } = useOffice();
  const list = useRef<HTMLUListElement>(null);
  // On a phone the list is wider than the screen: where one is must be seen in it.
  useEffect(() => {
    const here = list.current?.querySelector<HTMLElement>('[aria-current]');
    if (list.current && here) list.current.scrollLeft = here.offsetLeft - list.current.offsetLeft - 40;
  }, [section]);
  return (
    <nav class="office-nav" aria-label={t('office.sections')}>
      <ul ref={list}>
        {sections.map((each) => (
          <li key={each}>
            <a href={`#${each}`} data-section-link={each} aria-current={each === section ? 'page' : undefined}>
              {nameOf(each)}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** Gets the focus when the place changes, so that what is new is heard first. */
function Heading({ name, place }: { readonly name: string; readonly place: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    heading.current?.focus({ preventScroll: true });
  }, [place]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {name}
    </h1>
  );
}

function useWindowTitle(...parts: readonly string[]): void {
  const { t } = useOffice();
  const title = [...parts, t('app.name')].join(' · ');
  useEffect(() => {
    document.title = title;
  }, [title]);
}

/** By hand: the address behind `#` says the section. */
function focusMain(event: Event): void {
  event.preventDefault();
  document.getElementById(MAIN)?.focus();
}
