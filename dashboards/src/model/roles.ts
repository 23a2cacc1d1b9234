/** What a role is offered; the server decides for each question again. */
import type { Session } from '../api/types';

/** Where the officer's page is. */
export const OFFICER_PATH = '/officer';

/** Who may open it. */
const OFFICE_ROLES: readonly string[] = ['officer', 'owner'];

export function mayOffice(session: Session): boolean {
  return OFFICE_ROLES.includes(session.role);
}
