/** From what was typed to a check, and what its answer shows on a bar. Pure; nothing is kept. */
import { PURPOSES, type NewCheck, type Purpose } from '../../api/security';
import { cookieValue, FormProblem, type Typed } from '../../officer/model/forms';

export const WAYS = ['cookie', 'user', 'ip', 'subject'] as const;
export type Way = (typeof WAYS)[number];

/** Every rule of the server, in its order. */
export const RULES = [
  'speed',
  'time_zone',
  'language',
  'network',
  'many_countries',
  'crowded_address',
  'many_addresses',
  'many_users',
  'burst',
  'automation',
  'cookie_forged',
  'cookie_replayed',
  'browser_change',
  'page_order',
] as const;

/** The bar ends here, or at the score: so that the threshold stands apart from both ends. */
const END_OF_THRESHOLD = 1.5;

export function checkOf(typed: Typed): NewCheck {
  const words = oneLine(typed['words'] ?? '');
  const common = {
    site_id: needed(typed, 'site'),
    purpose: purposeOf(typed),
    ...(words === '' ? {} : { words }),
  };
  switch (typed['way'] as Way | undefined) {
    case 'user':
      return { ...common, user: needed(typed, 'user') };
    case 'subject':
      return { ...common, subject: needed(typed, 'subject') };
    case 'ip':
      return { ...common, ip: needed(typed, 'ip') };
    default:
      return { ...common, cookie: cookieValue(needed(typed, 'cookie')) };
  }
}

export function purposeOf(typed: Typed): Purpose {
  const purpose = PURPOSES.find((each) => each === typed['purpose']);
  if (!purpose) throw new FormProblem('purpose', 'form.empty');
  return purpose;
}

export function needed(typed: Typed, field: string): string {
  const text = (typed[field] ?? '').trim();
  if (text === '') throw new FormProblem(field, 'form.empty');
  return text;
}

/** The trail takes one line. */
export function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** Where on the bar score and threshold stand, in percent of its length. */
export function barOf(score: number, threshold: number): { readonly score: number; readonly threshold: number } {
  const end = Math.max(score, threshold * END_OF_THRESHOLD, 1);
  return { score: (score / end) * 100, threshold: (threshold / end) * 100 };
}
