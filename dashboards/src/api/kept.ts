/** The questions beyond the stats query: settings, funnels, journeys, retention, people. A function for each. */
import { request } from './client';
import type {
  FunnelAnswer,
  JourneysAnswer,
  Kept,
  New,
  NewToken,
  PeopleChange,
  RetentionAnswer,
  Roster,
  Things,
} from './kept-types';
import type { DateRange, FilterClause, Query } from './types';

export * from './kept-types';

/** What every question about numbers names. */
export interface Asked {
  readonly site_id: string;
  readonly date_range: DateRange;
  readonly filters: readonly FilterClause[];
}

export const kept = (site: string, signal?: AbortSignal): Promise<Kept> =>
  request('GET', `/api/v1/settings?site_id=${encodeURIComponent(site)}`, { signal });

/** Keeps a thing: a new one, or in the place of the one with its id. Returns it as it is kept. */
export const put = <Kind extends keyof Things>(site: string, kind: Kind, thing: New<Things[Kind]>): Promise<Things[Kind]> =>
  request('POST', '/api/v1/settings', { body: { site_id: site, put: { [kind]: thing } } });

export const remove = (site: string, kind: keyof Things, id: string): Promise<unknown> =>
  request('POST', '/api/v1/settings', { body: { site_id: site, remove: { [kind]: id } } });

export const funnel = (body: Asked & { readonly funnel: string }, signal?: AbortSignal): Promise<FunnelAnswer> =>
  request('POST', '/api/v2/funnel', { body, signal });

export type JourneysAsked = Asked & { readonly from: string | null; readonly limit: number };

export const journeys = (body: JourneysAsked, signal?: AbortSignal): Promise<JourneysAnswer> =>
  request('POST', '/api/v2/journeys', { body, signal });

export const retention = (body: Asked, signal?: AbortSignal): Promise<RetentionAnswer> =>
  request('POST', '/api/v2/retention', { body, signal });

/** The same answers as a table, for a file. */
export const asCsv = (name: 'query' | 'funnel' | 'journeys' | 'retention', body: Asked | Query): Promise<string> =>
  request('POST', `/api/v2/${name}`, { body, accept: 'text/csv' });

export const roster = (signal?: AbortSignal): Promise<Roster> => request('GET', '/api/v1/people', { signal });

export const changePeople = (body: PeopleChange): Promise<unknown> => request('POST', '/api/v1/people', { body });

/** The token is in this answer and nowhere else. */
export const makeToken = (token: NewToken): Promise<{ readonly token: string; readonly id: string }> =>
  request('POST', '/api/v1/people', { body: { token } });
