/** Fields of a hit that a disclosure of a range may hand out and a rectification may name. */

/** In the order in which they are offered; the first are the ones that are commonly asked for. */
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
  'consent',
] as const;

/** What is checked when the form opens: time and page, nobody's traits. */
export const USUAL_FIELDS: readonly string[] = ['time', 'path'];

/** What a visitor may say is wrong. */
export const RECTIFIED_FIELDS = [
  'country',
  'region',
  'city',
  'source',
  'channel',
  'utm_source',
  'utm_medium',
  'utm_campaign',
  'browser',
  'os',
  'device',
  'language',
] as const;
