/**
 * What a filter may be about: the dimensions of the panels, and those that only
 * filters have. `id` is the name in the words (`dimension.page`).
 */
import type { Operator } from '../api/types';

/** The goals of the site, by their names. */
export const GOAL = 'event:goal';
/** Kept filters of the site, by their ids. */
export const SEGMENT = 'segment';
/** Properties of events: `event:props:KEY`. */
export const PROPERTY = 'event:props:';

export interface FilterDimension {
  readonly dimension: string;
  readonly id: string;
}

export interface DimensionGroup {
  /** Its name in the words: `group.pages`. */
  readonly id: string;
  readonly dimensions: readonly FilterDimension[];
}

const named = (...pairs: readonly (readonly [string, string])[]): readonly FilterDimension[] =>
  pairs.map(([dimension, id]) => ({ dimension, id }));

/** In the order of the editor of filters. */
export const DIMENSION_GROUPS: readonly DimensionGroup[] = [
  {
    id: 'pages',
    dimensions: named(
      ['event:page', 'page'],
      ['visit:entry_page', 'entry'],
      ['visit:exit_page', 'exit'],
      ['event:hostname', 'hostname'],
    ),
  },
  {
    id: 'sources',
    dimensions: named(
      ['visit:channel', 'channel'],
      ['visit:source', 'source'],
      ['visit:referrer', 'referrer'],
      ['visit:utm_campaign', 'utm_campaign'],
      ['visit:utm_source', 'utm_source'],
      ['visit:utm_medium', 'utm_medium'],
      ['visit:utm_content', 'utm_content'],
      ['visit:utm_term', 'utm_term'],
      ['visit:consent', 'consent'],
    ),
  },
  {
    id: 'places',
    dimensions: named(
      ['visit:country', 'country'],
      ['visit:region', 'region'],
      ['visit:city', 'city'],
      ['visit:language', 'language'],
    ),
  },
  {
    id: 'devices',
    dimensions: named(
      ['visit:device', 'device'],
      ['visit:browser', 'browser'],
      ['visit:browser_version', 'browser_version'],
      ['visit:os', 'os'],
      ['visit:os_version', 'os_version'],
      ['visit:screen', 'screen'],
    ),
  },
  { id: 'events', dimensions: named([GOAL, 'goal'], ['event:name', 'event'], ['event:ad', 'ad'], [SEGMENT, 'segment']) },
];

/** Values that are shown in the reader's language: what is seen cannot be searched for on the server. */
const TRANSLATED: readonly string[] = ['visit:country', 'visit:channel', 'visit:device', 'visit:language', 'visit:consent'];

export function isTranslated(dimension: string): boolean {
  return TRANSLATED.includes(dimension);
}

/** What the API takes for a dimension; nothing typed freely where the guard holds. */
export function operatorsOf(dimension: string, guarded: boolean): readonly Operator[] {
  if (dimension === GOAL || dimension === SEGMENT) return ['is'];
  if (guarded || isTranslated(dimension)) return ['is', 'is_not'];
  return ['is', 'is_not', 'contains', 'contains_not'];
}
