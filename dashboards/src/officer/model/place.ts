/**
 * Where in the officer's page one is, as the part of the address behind `#`:
 * `#requests`, `#requests/2026-0001`, `#requests/new`. Names and numbers only;
 * nothing that identifies a person ever stands there.
 */

export const SECTIONS = [
  'overview',
  'requests',
  'disclosures',
  'incidents',
  'audit',
  'policy',
  'retention',
  'account',
] as const;
export type Section = (typeof SECTIONS)[number];

export interface Place {
  readonly section: Section;
  /** A number, `new` or `person`; empty for the section's first page. */
  readonly item: string;
}

/** What an item may look like: anything else is taken for the section itself. */
const ITEM = /^(?:new|person|(?:[DI]-)?\d{4}-\d{4,6})$/;

export function readPlace(hash: string): Place {
  const [name = '', item = ''] = hash.replace(/^#/, '').split('/');
  const section = SECTIONS.find((each) => each === name) ?? 'overview';
  return { section, item: section === name && ITEM.test(item) ? item : '' };
}

export function writePlace(section: Section, item = ''): string {
  return item === '' ? `#${section}` : `#${section}/${item}`;
}
