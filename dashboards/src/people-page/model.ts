/** Places, roles and passwords of the page of people and tokens. Pure. */

export const SECTIONS = ['people', 'tokens', 'roles'] as const;
export type Section = (typeof SECTIONS)[number];

export interface Place {
  readonly section: Section;
  /** The form of a new one is open. */
  readonly fresh: boolean;
}

/** From the one that may least to the one that may all. */
export const ROLES = ['viewer', 'security', 'officer', 'owner'] as const;
export type RoleName = (typeof ROLES)[number];

/** Shorter passwords are refused here; the server has the last word. */
export const MIN_PASSWORD = 8;
/** The longest login and name of a token, in bytes. */
export const MAX_NAME_BYTES = 64;
/** The days that a token may live; empty is until it is revoked. */
export const TOKEN_DAYS: readonly string[] = ['30', '90', '365', ''];

/** Letters of a made-up password: none that is taken for another. */
const LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789';
/** Groups and their length: 20 letters of 31 are 99 bits. */
const GROUPS = 4;
const GROUP = 5;

export function readPlace(hash: string): Place {
  const [name = '', item = ''] = hash.replace(/^#/, '').split('/');
  const section = SECTIONS.find((each) => each === name) ?? 'people';
  return { section, fresh: section === name && item === 'new' && section !== 'roles' };
}

export function writePlace(section: Section, fresh = false): string {
  return fresh ? `#${section}/new` : `#${section}`;
}

/** A password that nobody has to think of; `random` fills an array with random bytes. */
export function madeUp(random: (bytes: Uint8Array<ArrayBuffer>) => void = (bytes) => crypto.getRandomValues(bytes)): string {
  const letters: string[] = [];
  // Bytes that would favour some letters are left out.
  const fair = 256 - (256 % LETTERS.length);
  while (letters.length < GROUPS * GROUP) {
    const bytes = new Uint8Array(GROUPS * GROUP);
    random(bytes);
    for (const byte of bytes) {
      if (byte < fair && letters.length < GROUPS * GROUP) letters.push(LETTERS.charAt(byte % LETTERS.length));
    }
  }
  return Array.from({ length: GROUPS }, (_, at) => letters.slice(at * GROUP, (at + 1) * GROUP).join('')).join('-');
}
