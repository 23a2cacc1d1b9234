/**
 * The panels below the graph, as data: what each tab breaks down by, which
 * numbers it shows, and where a click on a row leads.
 */
import { DIMENSION_GROUPS, PROPERTY } from './dimensions';
import type { MetricName } from './metrics';

export interface Breakdown {
  /** Its name in the address, in `data-tab` and in the words. */
  readonly id: string;
  readonly dimension: string;
  /** The first one orders the rows and draws the bars. */
  readonly metrics: readonly MetricName[];
  /** More numbers for the full list. */
  readonly more?: readonly MetricName[];
  /** The tab of the same panel that is of use once a row was chosen. */
  readonly next?: string;
  /** A tab above it that groups several breakdowns. */
  readonly group?: string;
  /** A dimension of which a value must be chosen first: the tab is there only then. */
  readonly within?: string;
  /** Shown as a map, with the first rows under it. */
  readonly map?: true;
  /** Values that are not rows for people. */
  readonly hidden?: readonly string[];
}

export interface Panel {
  readonly id: string;
  /** How many rows it shows; panels beside each other show as many. */
  readonly rows: number;
  readonly breakdowns: readonly Breakdown[];
}

/** A question for more rows of the map than there are countries, so that none is left white. */
export const MAP_ROWS = 300;

/** The panel that is there only while marked hits are in the numbers. */
export const MARKS = 'marks';

const VISIT: readonly MetricName[] = ['visitors', 'visits', 'bounce_rate', 'visit_duration'];

export const PANELS: readonly Panel[] = [
  {
    id: 'pages',
    rows: 9,
    breakdowns: [
      {
        id: 'page',
        dimension: 'event:page',
        metrics: ['visitors', 'pageviews'],
        more: ['visitors', 'pageviews', 'bounce_rate', 'time_on_page', 'scroll_depth'],
      },
      { id: 'entry', dimension: 'visit:entry_page', metrics: ['visitors', 'visits'], more: VISIT },
      { id: 'exit', dimension: 'visit:exit_page', metrics: ['visitors', 'visits'], more: [...VISIT, 'exit_rate'] },
    ],
  },
  {
    id: 'sources',
    rows: 9,
    breakdowns: [
      { id: 'source', dimension: 'visit:source', metrics: ['visitors'], more: VISIT },
      { id: 'channel', dimension: 'visit:channel', metrics: ['visitors'], more: VISIT, next: 'source' },
      { id: 'referrer', dimension: 'visit:referrer', metrics: ['visitors'], more: VISIT },
      { id: 'utm_campaign', group: 'campaign', dimension: 'visit:utm_campaign', metrics: ['visitors'], more: VISIT },
      { id: 'utm_source', group: 'campaign', dimension: 'visit:utm_source', metrics: ['visitors'], more: VISIT },
      { id: 'utm_medium', group: 'campaign', dimension: 'visit:utm_medium', metrics: ['visitors'], more: VISIT },
      { id: 'utm_content', group: 'campaign', dimension: 'visit:utm_content', metrics: ['visitors'], more: VISIT },
      { id: 'utm_term', group: 'campaign', dimension: 'visit:utm_term', metrics: ['visitors'], more: VISIT },
    ],
  },
  {
    id: 'places',
    rows: 9,
    breakdowns: [
      { id: 'map', dimension: 'visit:country', metrics: ['visitors'], more: VISIT, next: 'region', map: true },
      { id: 'country', dimension: 'visit:country', metrics: ['visitors'], more: VISIT, next: 'region' },
      { id: 'region', dimension: 'visit:region', metrics: ['visitors'], more: VISIT, next: 'city' },
      { id: 'city', dimension: 'visit:city', metrics: ['visitors'], more: VISIT },
    ],
  },
  {
    id: 'devices',
    rows: 9,
    breakdowns: [
      { id: 'device', dimension: 'visit:device', metrics: ['visitors'], more: VISIT },
      { id: 'browser', dimension: 'visit:browser', metrics: ['visitors'], more: VISIT, next: 'browser_version' },
      {
        id: 'browser_version',
        within: 'visit:browser',
        dimension: 'visit:browser_version',
        metrics: ['visitors'],
        more: VISIT,
      },
      { id: 'os', dimension: 'visit:os', metrics: ['visitors'], more: VISIT, next: 'os_version' },
      { id: 'os_version', within: 'visit:os', dimension: 'visit:os_version', metrics: ['visitors'], more: VISIT },
      { id: 'screen', dimension: 'visit:screen', metrics: ['visitors'], more: VISIT },
      { id: 'language', dimension: 'visit:language', metrics: ['visitors'], more: VISIT },
    ],
  },
  {
    id: 'events',
    rows: 6,
    breakdowns: [
      {
        id: 'event',
        dimension: 'event:name',
        metrics: ['events', 'visitors'],
        hidden: ['pageview', 'engagement', ''],
      },
    ],
  },
  {
    id: 'ads',
    rows: 6,
    breakdowns: [
      {
        id: 'ad',
        dimension: 'event:ad',
        metrics: ['ad_views', 'ad_viewable', 'ad_clicks', 'ad_ctr'],
        hidden: ['', '(none)', '(not set)'],
        next: 'ad_page',
      },
      {
        id: 'ad_page',
        within: 'event:ad',
        dimension: 'event:page',
        metrics: ['ad_views', 'ad_viewable', 'ad_clicks', 'ad_ctr'],
      },
    ],
  },
  {
    id: MARKS,
    rows: 6,
    breakdowns: [{ id: 'mark', dimension: 'event:mark', metrics: ['events', 'visitors'] }],
  },
];

/** The tabs of a panel that there are now: some need a value of another dimension chosen. */
export function offeredOf(panel: Panel, isNarrowed: (dimension: string) => boolean): readonly Breakdown[] {
  return panel.breakdowns.filter(({ within }) => within === undefined || isNarrowed(within));
}

/** The chosen tab of a panel, or its first. */
export function chosenOf(
  panel: Panel,
  tabs: Readonly<Record<string, string>>,
  isNarrowed: (dimension: string) => boolean,
): Breakdown | undefined {
  const offered = offeredOf(panel, isNarrowed);
  return offered.find(({ id }) => id === tabs[panel.id]) ?? offered[0];
}

/** Whether a breakdown is of whole visits or pages, which a goal can be reached from. */
export function isOfVisits({ dimension }: Breakdown): boolean {
  return dimension.startsWith('visit:') || dimension === 'event:page';
}

/** Every dimension that a filter may name, with the id of its words. */
export const DIMENSIONS: ReadonlyMap<string, string> = new Map([
  ...PANELS.flatMap((panel) => panel.breakdowns.map((each) => [each.dimension, each.id] as const)),
  ...DIMENSION_GROUPS.flatMap((group) => group.dimensions.map((each) => [each.dimension, each.id] as const)),
  ['event:goal', 'goal'],
  ['segment', 'segment'],
]);

export function isDimension(text: string): boolean {
  return DIMENSIONS.has(text) || (text.startsWith(PROPERTY) && text.length > PROPERTY.length);
}
