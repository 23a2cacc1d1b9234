/**
 * The shapes that the server takes and answers, as the product's description of
 * the stats query and the web address have them. Nothing else is assumed.
 */

/** `"all"`, or two dates of the site's calendar (inclusive), or two instants with offset. */
export type DateRange = 'all' | readonly [from: string, to: string];

export type Operator = 'is' | 'is_not' | 'contains' | 'contains_not';

export type FilterClause =
  | readonly [Operator, string, readonly string[]]
  | readonly [Operator, string, readonly string[], { readonly case_sensitive: boolean }];

export type Interval = 'hour' | 'day' | 'week' | 'month';

/** What each row is compared with; the days are worked out here, so that they can be named. */
export interface Comparisons {
  readonly mode: 'custom';
  readonly date_range: DateRange;
}

/** The body of `POST /api/v2/query`, and one of those of `POST /api/v2/queries`. */
export interface Query {
  readonly site_id: string;
  readonly metrics: readonly string[];
  readonly date_range: DateRange;
  readonly dimensions?: readonly string[];
  readonly filters?: readonly FilterClause[];
  readonly order_by?: readonly (readonly [string, 'asc' | 'desc'])[];
  readonly include?: {
    readonly time_labels?: boolean;
    readonly total_rows?: boolean;
    readonly bots?: boolean;
    readonly comparisons?: Comparisons;
  };
  readonly pagination?: { readonly limit: number; readonly offset: number };
}

/** `null` is a number that does not exist (no visits to average) or is withheld. */
export type Value = number | null;

export interface Row {
  readonly dimensions: readonly string[];
  readonly metrics: readonly Value[];
  /** The same group in the compared range. */
  readonly comparison?: { readonly metrics: readonly Value[]; readonly change?: readonly Value[] };
}

/** Why the guard of small counts answers a question with nothing. */
export type Refusal = 'set_too_small' | 'complement_too_small' | 'too_many_filters' | 'free_text' | 'range';

/** What the guard of small counts did with an answer; absent where numbers are exact. */
export interface Guard {
  /** A group of fewer people than this is not shown. */
  readonly k: number;
  readonly refused: Refusal | null;
  readonly merged_rows: number;
}

/** The answer to a [`Query`]. */
export interface Answer {
  readonly results: readonly Row[];
  readonly meta: {
    readonly time_labels?: readonly string[];
    readonly total_rows?: number;
    readonly metric_warnings?: unknown;
    readonly guard?: Guard;
  };
  readonly query: unknown;
}

/** `GET /api/v1/session`; `login` is null after a sign-in by one-time code, until an account is chosen. */
export interface Session {
  readonly login: string | null;
  readonly role: string;
  /** Whether a second factor is in force. */
  readonly totp?: boolean;
  /** Whether the guard of small counts holds for this person. */
  readonly guarded?: boolean;
}

/** A line that a geo database's licence asks for. */
export interface Attribution {
  readonly text: string;
  readonly url: string;
}

/** One entry of `GET /api/v1/sites`. */
export interface Site {
  readonly id: string;
  readonly timezone: string;
  readonly hosts: readonly string[];
  /** Whose geo data the places come from; empty when there is none. */
  readonly attribution?: string | readonly (string | Attribution)[] | null;
  /** The collect address, for the snippet to embed; a placeholder is shown without it. */
  readonly collect_url?: string;
  readonly script_path?: string;
  readonly pixel_path?: string;
}

/** `GET /debug/hit` as JSON: what the collector would see of this request. */
export interface OwnHit {
  readonly address: string;
  readonly peer: string;
  readonly peer_trusted: boolean;
  readonly read_from: string;
  readonly after_proxy: string | null;
  readonly warnings: readonly string[];
  readonly cookie_name: string;
  /** `absent`, `valid` or `refused` */
  readonly cookie: string;
  readonly opted_out: boolean;
  readonly gpc: boolean;
  readonly dnt: boolean;
  readonly language: string;
  readonly browser: string;
  readonly os: string;
  readonly device: string;
  readonly bot: string;
  readonly country: string;
  readonly city: string;
  readonly sites: readonly {
    readonly site: string;
    /** `cookie` or `cookieless` */
    readonly identity: string;
    readonly mints: boolean;
    readonly refused: string | null;
  }[];
}

/** `GET /api/v1/live?site_id=`: a guarded number under the smallest group reads `"<10"`. */
export interface Live {
  readonly visitors: LiveNumber | null;
  readonly pages?: readonly LiveRow[];
  readonly sources?: readonly LiveRow[];
}

export type LiveNumber = number | string;

export interface LiveRow {
  readonly name: string;
  readonly visitors: LiveNumber | null;
}

/** One answer of `POST /api/v2/queries`. */
export type Outcome =
  | { readonly status: 200; readonly answer: Answer }
  | { readonly status: number; readonly error: string };

/** `GET /api/v1/settings?site_id=`: what people keep beside the numbers, as far as this page shows it. */
export type { Kept as SiteSettings } from './kept-types';

/** A remark on a day of the graph. */
export interface Note {
  readonly id: string;
  readonly day: string;
  readonly text: string;
}
