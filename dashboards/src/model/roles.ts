/** What a role is offered; the server decides for each question again. */
import type { Session } from '../api/types';

/** Where the officer's page is. */
export const OFFICER_PATH = '/officer';

/** Who may open it. */
const OFFICE_ROLES: readonly string[] = ['officer', 'owner'];

/** Where the security page is. */
export const SECURITY_PATH = '/security';

/** Who may open it. */
const SECURITY_ROLES: readonly string[] = ['security', 'owner'];

/** Where the settings of a site are: `/settings?site=X`. */
export const SETTINGS_PATH = '/settings';

/** Where people and tokens are. */
export const PEOPLE_PATH = '/people';

/** The pages with an address of their own, beside the dashboard at `/`. */
export const PAGE_PATHS: readonly string[] = [OFFICER_PATH, SECURITY_PATH, SETTINGS_PATH, PEOPLE_PATH];

export function mayOffice(session: Session): boolean {
  return OFFICE_ROLES.includes(session.role);
}

export function maySecure(session: Session): boolean {
  return SECURITY_ROLES.includes(session.role);
}

/** Goals, funnels, links, reports, people and tokens are the owner's. */
export function mayManage(session: Session): boolean {
  return session.role === 'owner';
}
