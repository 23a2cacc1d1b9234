/** The ways between the pages, by role: in the header of each page but the dashboard, and in every menu. */
import type { Session } from '../api/types';
import { mayManage, mayOffice, maySecure, OFFICER_PATH, PEOPLE_PATH, SECURITY_PATH, SETTINGS_PATH } from '../model/roles';
import type { MessageKey } from '../words/en';
import { useWords } from '../words/language';

export type PageName = 'numbers' | 'settings' | 'people' | 'officer' | 'security';

const NAMES = {
  numbers: 'nav.numbers',
  settings: 'nav.settings',
  people: 'nav.people',
  officer: 'nav.officer',
  security: 'nav.security',
} as const satisfies Record<PageName, MessageKey>;

/** The pages that a person may open, in their order, and where they are for the site that is looked at. */
export function pagesOf(session: Session): readonly (readonly [PageName, string])[] {
  const site = new URLSearchParams(location.search).get('site') ?? '';
  const search = site === '' ? '' : `?${new URLSearchParams({ site })}`;
  return [
    ['numbers', `/${search}`],
    ['settings', `${SETTINGS_PATH}${search}`],
    ...(mayManage(session) ? [['people', PEOPLE_PATH] as const] : []),
    ...(maySecure(session) ? [['security', `${SECURITY_PATH}${search}`] as const] : []),
    ...(mayOffice(session) ? [['officer', `${OFFICER_PATH}${search}`] as const] : []),
  ];
}

export function PageNav({ session, here }: { readonly session: Session; readonly here: PageName }) {
  const { t } = useWords();
  return (
    <nav class="page-nav" aria-label={t('nav.label')}>
      <ul>
        {pagesOf(session).map(([name, address]) => (
          <li key={name}>
            <a href={address} data-page-link={name} aria-current={name === here ? 'page' : undefined}>
              {t(NAMES[name])}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** The same as items of a menu, without the page one is on. */
export function PageItems({ session, here }: { readonly session: Session; readonly here: PageName }) {
  const { t } = useWords();
  return (
    <>
      {pagesOf(session)
        .filter(([name]) => name !== here)
        .map(([name, address]) => (
          <a key={name} class="item" data-item href={address} {...{ [`data-to-${name}`]: true }}>
            {t(NAMES[name])}
          </a>
        ))}
    </>
  );
}
