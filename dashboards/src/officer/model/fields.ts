/** Fields of a hit that a disclosure of a range may hand out and a rectification may name. */

/** In the order in which they are offered. */
export const DISCLOSED_FIELDS = [
  'time',
  'kind',
  'host',
  'path',
  'query',
  'title',
  'referrer_host',
  'referrer_path',
  'source',
  'channel',
  'utm_source',
  'utm_medium',
  'utm_campaign',
  'utm_content',
  'utm_term',
  'country',
  'region',
  'city',
  'network',
  'browser',
  'os',
  'device',
  'language',
  'screen',
  'ad',
  'name',
  'props',
  'consent',
] as const;

/** These tell who somebody is: only a state body or a court is given them. */
export const IDENTIFYING_FIELDS = ['visitor', 'user_key', 'ip'] as const;

/** What is checked when the form opens: time and page, nobody's traits. */
export const USUAL_FIELDS: readonly string[] = ['time', 'path'];

/** The recipients who may be given what tells who somebody is. */
export function mayIdentify(recipient: string): boolean {
  return recipient === 'state_body' || recipient === 'court';
}

/** What a visitor may say is wrong, and storage can change. */
export const RECTIFIED_FIELDS = [
  'city',
  'country',
  'network',
  'device',
  'source',
  'channel',
  'utm_source',
  'utm_medium',
  'utm_campaign',
  'utm_content',
  'utm_term',
  'referrer_host',
  'referrer_path',
  'title',
  'query',
  'user_key',
  'props',
] as const;

/** These can be cleared, and given no other value. */
export const CLEARED_FIELDS: readonly string[] = ['query', 'user_key'];
