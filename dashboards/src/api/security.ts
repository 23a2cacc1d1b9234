/**
 * The questions of the security page, and their shapes. What identifies a person is in the
 * body of one question only.
 */
import { request } from './client';
import type { Who } from './officer-types';
import type { DateRange } from './types';

/** The most bytes of the words beside a purpose: what the audit trail takes. */
export const MAX_WORDS_BYTES = 256;

/** Why somebody may look, in the order in which it is offered. */
export const PURPOSES = ['fraud', 'payments', 'security', 'support', 'claim'] as const;
export type Purpose = (typeof PURPOSES)[number];

interface Why {
  readonly purpose: Purpose;
  readonly words?: string;
}

/** Exactly one of the four says who is meant. */
export type NewCheck = { readonly site_id: string } & Why &
  ({ readonly cookie: string } | { readonly user: string } | { readonly ip: string } | { readonly subject: string });

export type NetworkKind = 'unknown' | 'access' | 'mobile' | 'hosting' | 'proxy';

/** Of a cookie or a user it is the place of the last hit; of an address all that is known. */
export interface Location {
  readonly country: string;
  readonly region?: string;
  readonly city: string;
  readonly asn?: number;
  readonly network?: string;
  readonly coordinates: { readonly latitude: number; readonly longitude: number } | null;
  readonly accuracy_km: number | null;
  readonly time_zone?: string | null;
  readonly kind: NetworkKind;
  /** `public`, or the range that is set apart. */
  readonly scope?: string;
  /** When it was there. */
  readonly at?: string;
}

/** Of a visitor or a user: hits and days; of an address: its last day. */
export interface Seen {
  readonly first?: string;
  readonly last: string;
  readonly hits?: number;
  readonly addresses?: number;
  readonly countries?: number;
  readonly hits_of_last_day?: number;
  readonly visitors_of_last_day?: number;
  readonly marked_of_last_day?: number;
}

export type Evidence = Readonly<Record<string, unknown>>;

export interface Signal {
  readonly rule: string;
  readonly points: number;
  /** What it means, in English. */
  readonly about: string;
  readonly evidence: Evidence;
}

/** A rule that did not fire. */
export interface Silence {
  readonly rule: string;
  readonly state: 'quiet' | 'off' | 'unknown';
  readonly weight: number;
  readonly why: string | null;
}

export interface Checked {
  readonly site_id: string;
  readonly by: 'cookie' | 'user' | 'ip' | 'subject';
  readonly known: boolean;
  readonly score: number;
  readonly threshold: number;
  readonly verdict: 'review' | 'plausible' | 'unknown';
  readonly location: Location | null;
  readonly seen: Seen | null;
  readonly signals: readonly Signal[];
  readonly rules: readonly Silence[];
  readonly memory: { readonly ready: boolean; readonly visitors: number; readonly until_ms: number };
  readonly notes: readonly string[];
}

/** A visitor who came over the threshold. */
export interface Alert {
  readonly number: number;
  readonly at_ms: number;
  /** Their keyed hash. */
  readonly subject: string;
  readonly score: number;
  /** Names of rules, and their points. */
  readonly rules: readonly (readonly [string, number])[];
}

/** The most alerts in one answer, and the most that the server keeps, of all sites together. */
const MAX_ALERTS_ANSWERED = 500;
const MAX_ALERTS_KEPT = 10_000;
/** As many answers as all that are kept take, and one more to learn that nothing follows. */
const MAX_ALERT_ROUNDS = MAX_ALERTS_KEPT / MAX_ALERTS_ANSWERED + 1;

export interface Alerts {
  readonly alerts: readonly Alert[];
  readonly next: number;
  readonly lost: boolean;
  /** The number that was asked after is of before a restart. */
  readonly restarted: boolean;
}

export type By = 'address' | 'network' | 'asn' | 'country' | 'time:hour' | 'time:day';

export const ORDERS = ['hits', 'visitors', 'refused', 'limited', 'marked', 'errors'] as const;
export type Order = (typeof ORDERS)[number];

/** Of what alone; an address or a network, by its token. */
export interface Only {
  readonly address?: string;
  readonly network?: string;
  readonly asn?: number;
  readonly country?: string;
}

export interface AddressQuestion extends Only {
  readonly site_id: string;
  /** It stands in the audit trail before the answer. */
  readonly purpose: Purpose;
  readonly date_range: DateRange;
  readonly by: By;
  readonly order_by?: Order;
  readonly limit?: number;
}

export type Numbers = Readonly<Record<Order, number>> & {
  readonly marks: Readonly<Record<string, number>>;
  readonly reasons: Readonly<Record<string, number>>;
  /** Script errors, the most frequent. */
  readonly error_names: Readonly<Record<string, number>>;
  readonly first: string | null;
  readonly last: string | null;
};

/** Which keys stand beside the numbers depends on what rows are of. */
export interface AddressRow extends Numbers {
  readonly address?: string | null;
  readonly network?: string | null;
  readonly addresses?: number | null;
  readonly key_destroyed?: boolean;
  readonly asn?: number;
  readonly asn_name?: string;
  readonly country?: string;
  /** `2026-11-26`, or `2026-11-26 14:00:00`; the site's clock. */
  readonly time?: string;
}

export interface AddressAnswer {
  /** Two instants, by the site's clock. */
  readonly date_range: readonly [from: string, to: string];
  readonly results: readonly AddressRow[];
  readonly total_rows: number;
  readonly totals: Numbers;
  readonly notes: readonly string[];
}

export interface Opening extends Why {
  readonly site_id: string;
  readonly address: string;
}

export interface Opened {
  readonly ip: string;
  readonly country: string;
  readonly region: string;
  readonly city: string;
  readonly asn: number;
  readonly network: string;
  readonly notes: readonly string[];
}

/** Why a case file may be opened, in the order in which it is offered. */
export const CASE_PURPOSES = ['payments', 'fraud', 'support', 'claim', 'security', 'state_body'] as const;
export type CasePurpose = (typeof CASE_PURPOSES)[number];

/** The longest basis, in bytes; the most minutes that a moment may be from a visit; the most hits of an answer. */
export const MAX_BASIS_BYTES = 200;
export const MAX_MINUTES = 1440;
export const MAX_CASE_ROWS = 1000;
/** The minutes that a moment may be from a visit when nothing is said. */
export const DEFAULT_MINUTES = 30;

export type CaseFormat = 'json' | 'csv' | 'html';

export interface NewCase {
  readonly site: string;
  readonly who: Who;
  readonly purpose: CasePurpose;
  readonly words: string;
  readonly basis?: string;
  readonly from?: string;
  readonly to?: string;
  readonly around?: string;
  readonly minutes?: number;
  readonly limit: number;
  readonly format: CaseFormat;
  readonly language: 'ru' | 'en';
}

/** One hit; what is past its term is empty. */
export type CaseHit = Readonly<Record<string, string | boolean>> & { readonly time: string; readonly kind: string };

export interface CaseVisit {
  readonly number: number;
  readonly visitor: number;
  readonly first: string;
  readonly last: string;
  readonly hits: number;
  readonly events: number;
  /** The moment that was asked about is in it, or nearest to it. */
  readonly is_at: boolean;
  readonly trail: readonly CaseHit[];
}

export interface CaseFile {
  readonly site: string;
  readonly from: string;
  readonly to: string;
  readonly more: boolean;
  readonly summary: {
    readonly hits: number;
    readonly visits: number;
    readonly visitors: number;
    readonly first: string | null;
    readonly last: string | null;
    readonly days: number;
    readonly addresses: number | null;
    readonly countries: readonly string[];
    readonly devices: readonly string[];
  };
  readonly around: { readonly at: string; readonly minutes: number } | null;
  readonly visit_at: { readonly number: number; readonly away_ms: number } | null;
  readonly notes: readonly string[];
  readonly visits: readonly CaseVisit[];
}

/** A case file in JSON; otherwise it is a text to be saved. */
export const openCase = (body: NewCase, signal?: AbortSignal): Promise<CaseFile> =>
  request('POST', '/api/v1/case', { body, signal });

export const caseText = (body: NewCase, signal?: AbortSignal): Promise<string> =>
  request('POST', '/api/v1/case', { body, signal, accept: body.format === 'csv' ? 'text/csv' : 'text/html' });

export const check = (body: NewCheck, signal?: AbortSignal): Promise<Checked> =>
  request('POST', '/api/v1/fraud/check', { body, signal });

export const alerts = (site: string, after: number, signal?: AbortSignal): Promise<Alerts> =>
  request('GET', `/api/v1/fraud/alerts?${new URLSearchParams({ site_id: site, after: String(after) })}`, { signal });

/** The latest alerts, at most so many, in their order: the server answers from the oldest on. */
export async function latestAlerts(site: string, most: number, signal?: AbortSignal): Promise<readonly Alert[]> {
  let latest: readonly Alert[] = [];
  let after = 0;
  for (let round = 0; round < MAX_ALERT_ROUNDS; round += 1) {
    const answer = await alerts(site, after, signal);
    // After a restart those of before are told again.
    latest = [...(answer.restarted ? [] : latest), ...answer.alerts].slice(-most);
    after = answer.next;
    if (answer.alerts.length < MAX_ALERTS_ANSWERED) break;
  }
  return latest;
}

export const addresses = (body: AddressQuestion, signal?: AbortSignal): Promise<AddressAnswer> =>
  request('POST', '/api/v1/addresses', { body, signal });

export const openAddress = (body: Opening): Promise<Opened> => request('POST', '/api/v1/addresses/open', { body });
