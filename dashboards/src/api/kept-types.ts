/** What the people of a site keep beside its numbers, as the server has it; and the answers about it. */
import type { FilterClause, Value } from './types';

export type GoalKind = 'event' | 'page' | 'scroll' | 'ad_click';

/** When a hit reaches a goal. */
export type Aim =
  | { readonly kind: 'event'; readonly value: string; readonly currency?: string }
  | { readonly kind: 'page'; readonly value: string }
  | { readonly kind: 'scroll'; readonly value: string; readonly percent: number }
  | { readonly kind: 'ad_click'; readonly value: string };

/** A thing that is new has no id; the server gives it one. */
export type New<T> = T extends { readonly id: string } ? Omit<T, 'id' | 'by' | 'sent' | 'url'> & { readonly id?: string } : never;

export type Goal = { readonly id: string; readonly name: string } & Aim;

export interface Funnel {
  readonly id: string;
  readonly name: string;
  /** Ids of goals. */
  readonly steps: readonly string[];
}

/** Filters as a question has them: those that this page makes are flat, those of the API may be nested. */
export type Filters = readonly (FilterClause | readonly unknown[])[];

export interface Segment {
  readonly id: string;
  readonly name: string;
  readonly filters: Filters;
  /** The login of who made it. */
  readonly by: string;
}

export interface Note {
  readonly id: string;
  /** `yyyy-mm-dd` */
  readonly day: string;
  readonly text: string;
  readonly by: string;
}

export interface Link {
  readonly id: string;
  readonly name: string;
  /** Milliseconds since 1970; null is until it is removed. */
  readonly expires: number | null;
  readonly filters: Filters;
  /** Only in the answer that made it. */
  readonly url?: string;
}

export type Every = 'day' | 'week' | 'month';

export interface Report {
  readonly id: string;
  readonly to: readonly string[];
  readonly every: Every;
  readonly language: string;
  /** The first day of the period that was sent last. */
  readonly sent?: string | null;
}

/** `GET /api/v1/settings`; links and reports are there for the owner only. */
export interface Kept {
  readonly goals: readonly Goal[];
  readonly funnels: readonly Funnel[];
  readonly segments: readonly Segment[];
  readonly notes: readonly Note[];
  readonly links?: readonly Link[];
  readonly reports?: readonly Report[];
  readonly min_group?: number;
  /** Whether this asker's numbers are guarded. */
  readonly guarded?: boolean;
  /** Whether mail is configured. */
  readonly mail?: boolean;
  /** Under a shared link: what it is. */
  readonly link?: { readonly name?: string; readonly expires?: number | null; readonly filters?: Filters };
}

/** The things that can be put and removed, by their names there. */
export interface Things {
  readonly goal: Goal;
  readonly funnel: Funnel;
  readonly segment: Segment;
  readonly note: Note;
  readonly link: Link;
  readonly report: Report;
}

/** What the guard of small counts did to an answer. */
export interface Guard {
  readonly k: number;
  readonly refused: string | null;
  readonly merged_rows?: number;
}

export interface Guarded {
  readonly guard?: Guard | null;
}

export interface FunnelStep {
  readonly goal: string;
  readonly visitors: Value;
  readonly dropped: Value;
  /** Percent. */
  readonly from_first: Value;
  readonly from_previous: Value;
}

export interface FunnelAnswer {
  readonly results: readonly FunnelStep[];
  readonly meta: Guarded;
}

export interface Step {
  readonly from: string;
  readonly to: string;
  readonly visits: Value;
}

export interface PageVisits {
  readonly page: string;
  readonly visits: Value;
}

export interface JourneysAnswer {
  readonly results: readonly Step[];
  readonly meta: Guarded & {
    readonly entries?: readonly PageVisits[];
    readonly exits?: readonly PageVisits[];
    /** Of a chosen page: the steps to it. */
    readonly before?: readonly Step[];
  };
}

export interface Cohort {
  /** The Monday it begins with. */
  readonly week: string;
  readonly visitors: Value;
  /** How many were there n weeks later; the first is all of them. */
  readonly returned: readonly Value[];
}

export interface RetentionAnswer {
  readonly results: readonly Cohort[];
  readonly meta: Guarded;
}

export interface Person {
  readonly login: string;
  readonly role: string;
  readonly totp: boolean;
}

export interface Token {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  /** Null: all sites. */
  readonly site: string | null;
  /** Milliseconds since 1970. */
  readonly made: number | string | null;
  readonly expires: number | string | null;
}

/** `GET /api/v1/people` */
export interface Roster {
  readonly people: readonly Person[];
  readonly tokens: readonly Token[];
}

export type PeopleChange =
  | { readonly add: { readonly login: string; readonly role: string; readonly password: string } }
  | { readonly change: { readonly login: string; readonly role: string } }
  | { readonly remove: { readonly login: string } }
  | { readonly revoke: { readonly id: string } };

/** Without a site: all of them; without days: until it is revoked. */
export interface NewToken {
  readonly name: string;
  readonly role: string;
  readonly site?: string;
  readonly days?: number;
}
