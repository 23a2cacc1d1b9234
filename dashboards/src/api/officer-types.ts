/**
 * The shapes of the officer's part of the API, and its bounds. Moments are
 * milliseconds since 1970, or RFC 3339 where they are texts.
 *
 * What identifies a person ([`Who`]) travels in the body of a POST and nowhere
 * else: never in an address.
 */

/** The longest purpose of a job and name of who answers for it, in bytes. */
export const MAX_PURPOSE_BYTES = 256;
/** The longest answer, reason and purpose in the register, in bytes. */
export const MAX_ANSWER_BYTES = 4000;
/** The longest recipient, basis and purpose of a disclosure, in bytes. */
export const MAX_DISCLOSURE_BYTES = 1000;
/** The longest value of a cookie, in bytes: longer ones are not ours. */
export const MAX_COOKIE_BYTES = 128;
/** The longest user key, in bytes. */
export const MAX_USER_KEY_BYTES = 128;

export const REQUEST_KINDS = [
  'access',
  'rectify',
  'block',
  'unblock',
  'stop',
  'withdraw',
  'erase',
  'marketing',
  'claim',
] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

export const REQUEST_STATES = ['open', 'done', 'refused'] as const;
export type RequestState = (typeof REQUEST_STATES)[number];

export interface Due {
  readonly date: string;
  readonly ends: number;
  readonly term: string;
  readonly article: string;
  readonly counted_by: string;
  readonly holidays: 'known' | 'decree-unknown' | 'weekends-only';
}

export interface Subject {
  readonly kind: 'visitor' | 'user_key';
  /** 16 hex digits. */
  readonly hash: string;
}

export interface Change {
  readonly at: number;
  readonly who: string;
  readonly what: string;
}

/** One request of the register. */
export interface Request {
  readonly number: string;
  readonly site: string;
  readonly kind: RequestKind;
  readonly about: RequestKind | null;
  readonly identified: 'cookie' | 'user' | 'ip' | 'other';
  readonly subjects: readonly Subject[];
  readonly received: number;
  readonly law: 'russian' | 'gdpr';
  readonly zone: string;
  readonly due: Due;
  readonly first_step: { readonly what: string; readonly due: Due; readonly done: number | null } | null;
  readonly extension: {
    readonly days: number;
    readonly reason: string;
    readonly at: number;
    readonly until: Due;
  } | null;
  readonly state: RequestState;
  readonly purpose: string;
  readonly answer: string;
  readonly closed: number | null;
  readonly history: readonly Change[];
  readonly acts: readonly string[];
  readonly due_date: string;
  readonly next_due_date: string | null;
  readonly overdue: boolean;
  readonly calendar_known: boolean;
}

export interface Attention {
  readonly open: number;
  readonly overdue: readonly string[];
  readonly due_within_2_working_days: readonly string[];
}

export interface Register {
  readonly requests: readonly Request[];
  readonly attention: Attention;
}

/** By what a person is identified. Holds personal data: kept in no storage, address or title. */
export type Who =
  | { readonly cookie: string }
  | { readonly user: string }
  | { readonly address: { readonly ip: string; readonly from: string; readonly to: string } }
  | { readonly request: string };

export interface NewRequest {
  readonly site: string;
  readonly kind: RequestKind;
  readonly about?: RequestKind;
  readonly who: Who | null;
  readonly received?: string;
  readonly purpose?: string;
}

export type RequestChange =
  | { readonly extend: { readonly reason: string; readonly days?: number } }
  | { readonly stopped: true }
  | { readonly close: { readonly answer: string; readonly refused: boolean } };

export type Job =
  | 'find'
  | 'block'
  | 'unblock'
  | 'hold'
  | 'release'
  | 'erase'
  | 'withdraw_marketing'
  | 'opt_out'
  | { readonly export: 'json' | 'csv' | 'html' }
  | {
      readonly rectify: {
        readonly field: string;
        readonly value: string;
        readonly from?: string;
        readonly to?: string;
      };
    };

export interface Asked {
  readonly job: Job;
  readonly site: string;
  readonly who: Who;
  readonly purpose: string;
  readonly request?: string;
  readonly by?: string;
  readonly wait?: boolean;
}

/** What came of a job; which parts there are depends on the job. */
export interface Outcome {
  readonly site?: string;
  readonly subjects?: readonly Subject[];
  readonly notes?: readonly string[];
  readonly rows: number;
  readonly changed?: number;
  readonly first?: string | null;
  readonly last?: string | null;
  readonly blocked?: boolean;
  readonly text?: string;
  readonly act?: { readonly number: string } | null;
  readonly files?: readonly string[];
  readonly accepted?: boolean;
}

export type AuditActor =
  | 'visitor'
  | { readonly person: string }
  | { readonly command: string }
  | { readonly job: string }
  | { readonly token: { readonly id: string; readonly name: string } };

export interface AuditEntry {
  readonly number: number;
  readonly at: string;
  readonly actor: AuditActor;
  readonly action: string;
  readonly site?: string;
  readonly subject?: string;
  readonly purpose?: string;
  readonly words?: string;
  readonly detail?: string;
  readonly cut?: number;
}

export interface AuditFilter {
  readonly from?: string;
  readonly to?: string;
  readonly action?: string;
  readonly site_id?: string;
  readonly last?: number;
}

export interface Verified {
  readonly entries: number;
  readonly first: { readonly number: number; readonly at: string } | null;
  readonly last: { readonly number: number; readonly at: string } | null;
  readonly anchor: string;
  readonly torn_bytes: number;
}

/** One run of retention, or what one would remove. */
export interface RetentionReport {
  readonly at: string;
  readonly dry_run: boolean;
  readonly kinds: readonly {
    readonly site: string;
    readonly kind: string;
    readonly removed: number;
    readonly held_back: number;
    readonly oldest_left: string | null;
  }[];
  readonly keys_destroyed: readonly number[];
  readonly backups: number;
  readonly parts_dropped: number;
  readonly seconds: number;
}

export type Light = 'green' | 'red' | 'none';

export interface Clause {
  readonly clause: string;
  readonly ru: string;
  readonly en: string;
  readonly does_ru: string;
  readonly does_en: string;
  readonly settings: readonly { readonly key: string; readonly value: unknown }[];
  readonly evidence: readonly {
    readonly ru: string;
    readonly en: string;
    readonly value: unknown;
    readonly state: Light;
  }[];
  readonly state: Light;
}

export interface PolicyTable {
  readonly site: string;
  readonly version: string;
  readonly url: string;
  readonly made: string;
  readonly state: Light;
  readonly clauses: readonly Clause[];
}

export const RECIPIENT_KINDS = ['operator', 'quality', 'state_body', 'court', 'processor', 'other'] as const;
export type RecipientKind = (typeof RECIPIENT_KINDS)[number];

export interface Disclosure {
  readonly number: string;
  readonly at: number;
  readonly site: string;
  readonly recipient: string;
  readonly recipient_kind: RecipientKind;
  readonly basis: string;
  readonly purpose: string;
  readonly scope:
    | { readonly person: { readonly subjects: readonly Subject[] } }
    | { readonly range: { readonly from: string | number; readonly to: string | number } }
    | { readonly case: { readonly subjects: readonly Subject[]; readonly from: number; readonly to: number } };
  readonly fields: readonly string[];
  readonly format: string;
  readonly rows: number;
  readonly visitors: number;
  readonly sha256: string;
  readonly who: string;
  readonly request: string | null;
}

export interface NewDisclosure {
  readonly site: string;
  readonly recipient: string;
  readonly recipient_kind: RecipientKind;
  readonly basis: string;
  readonly purpose: string;
  readonly scope:
    | { readonly person: Who }
    | { readonly range: { readonly from: string; readonly to: string; readonly fields: readonly string[] } };
  readonly format: 'json' | 'csv';
  readonly request?: string;
}

export const INCIDENT_KINDS = ['disclosure', 'loss', 'access', 'change'] as const;
export type IncidentKind = (typeof INCIDENT_KINDS)[number];

/** Which steps an incident has is a matter of its law; the last has no term in hours. */
export const INCIDENT_STEPS = ['first_notice', 'inquiry', 'notice_to_authority', 'subjects_informed'] as const;
export type IncidentStep = (typeof INCIDENT_STEPS)[number];

export interface Clock {
  readonly name: string;
  readonly hours: number;
  readonly due: number;
  readonly done: number | null;
  readonly late: boolean;
  readonly article: string;
}

export interface Incident {
  readonly number: string;
  readonly site: string;
  readonly kind: IncidentKind;
  readonly from: number;
  readonly to: number;
  readonly detected: number;
  readonly registered: number;
  readonly what: string;
  readonly who: string;
  readonly clocks: readonly Clock[];
  readonly affected: {
    readonly rows: number;
    readonly visitors: number;
    readonly cookies: number;
    readonly user_keys: number;
    readonly addresses: number;
    readonly first: number | null;
    readonly last: number | null;
    readonly kinds: readonly {
      readonly name: string;
      readonly ru: string;
      readonly en: string;
      readonly rows: number;
    }[];
  };
  readonly notice: { readonly ru: string; readonly en: string };
  readonly advice: { readonly ru: string; readonly en: string };
  readonly state: 'open' | 'closed';
  readonly result: string;
  readonly history: readonly Change[];
}

export interface NewIncident {
  readonly site: string;
  readonly kind: IncidentKind;
  readonly from: string;
  readonly to: string;
  readonly detected?: string;
  readonly what: string;
}

export interface RequestFilter {
  readonly site_id?: string;
  readonly state?: string;
  readonly kind?: string;
  readonly overdue?: boolean;
}
