/**
 * Where in the security page one is, as the part of the address behind `#`. A
 * section's name only: no token and nothing that identifies a person stands there.
 */

export const SECTIONS = ['check', 'case', 'addresses'] as const;
export type Section = (typeof SECTIONS)[number];

export function readPlace(hash: string): Section {
  const name = hash.replace(/^#/, '');
  return SECTIONS.find((each) => each === name) ?? 'check';
}

export function writePlace(section: Section): string {
  return `#${section}`;
}
