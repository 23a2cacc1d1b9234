/**
 * Where in the settings one is, as the part of the address behind `#`: `#goals`,
 * `#goals/new`, `#goals/g1`. Names and ids only.
 */
import type { Session } from '../../api/types';
import { mayManage } from '../../model/roles';

export const SECTIONS = ['goals', 'funnels', 'segments', 'notes', 'links', 'reports', 'embed'] as const;
export type Section = (typeof SECTIONS)[number];

/** Sections that hold what only the owner may see. */
const OWNERS: readonly Section[] = ['links', 'reports'];

export interface Place {
  readonly section: Section;
  /** An id or `new`; empty for the section's list. */
  readonly item: string;
}

/** What an item may look like: anything else is taken for the section itself. */
const ITEM = /^(?:new|[a-z]\d{1,9})$/;

export function sectionsOf(session: Session): readonly Section[] {
  return mayManage(session) ? SECTIONS : SECTIONS.filter((section) => !OWNERS.includes(section));
}

export function readPlace(hash: string, session: Session): Place {
  const [name = '', item = ''] = hash.replace(/^#/, '').split('/');
  const sections = sectionsOf(session);
  const section = sections.find((each) => each === name) ?? 'goals';
  return { section, item: section === name && ITEM.test(item) ? item : '' };
}

export function writePlace(section: Section, item = ''): string {
  return item === '' ? `#${section}` : `#${section}/${item}`;
}
