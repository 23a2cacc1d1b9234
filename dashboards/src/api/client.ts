/**
 * The one place that talks to the server. Every failure becomes an [`ApiError`]
 * with a kind that the words of the interface know; a 401 additionally tells
 * the listener of [`onSignedOut`], wherever it happened.
 *
 * Does not retry: the person, or the next refresh, does.
 */
import type { Live, Outcome, OwnHit, Query, Session, Site, SiteSettings } from './types';

/** How long one request may take, in milliseconds: above the server's own limit for a query. */
const TIMEOUT_MS = 60_000;

/** How long a text of the server may be shown, in characters. */
const MAX_DETAIL = 300;

export type FailureKind = 'offline' | 'timeout' | 'signed-out' | 'forbidden' | 'refused' | 'busy' | 'server';

export class ApiError extends Error {
  readonly kind: FailureKind;
  readonly status: number;
  /** What the server said, for people who can act on it; may be empty. */
  readonly detail: string;
  /** What else a sign-in takes: `totp`; empty if nothing. */
  readonly needs: string;
  /** In so many seconds it may be asked again; 0 if nothing is said. */
  readonly wait: number;

  constructor(kind: FailureKind, status: number, detail: string, needs = '', wait = 0) {
    super(`${kind} ${status} ${detail}`);
    this.name = 'ApiError';
    this.kind = kind;
    this.status = status;
    this.detail = detail;
    this.needs = needs;
    this.wait = wait;
  }
}

let signedOut: () => void = () => undefined;

/** The secret of the shared link that the page was opened under; empty for people who sign in. */
let link = '';

/** From here on every call is made under a shared link, and with no session. */
export function carryLink(secret: string): void {
  link = secret;
}

/** Registers what happens when the server no longer knows the session. */
export function onSignedOut(listener: () => void): void {
  signedOut = listener;
}

/** Who is signed in, or null. */
export async function session(): Promise<Session | null> {
  try {
    return await request<Session>('GET', '/api/v1/session', { quiet: true });
  } catch (error) {
    if (error instanceof ApiError && error.kind === 'signed-out') return null;
    throw error;
  }
}

export type Credentials =
  { readonly login: string; readonly password: string; readonly totp?: string } | { readonly code: string };

export function signIn(credentials: Credentials): Promise<unknown> {
  return request('POST', '/api/v1/session', { body: credentials, quiet: true });
}

export function signOut(): Promise<unknown> {
  return request('DELETE', '/api/v1/session', { quiet: true });
}

/** Gives the account that came in by one-time code its login and password. */
export function setAccount(login: string, password: string): Promise<unknown> {
  return request('POST', '/api/v1/account', { body: { login, password } });
}

export function sites(signal?: AbortSignal): Promise<readonly Site[]> {
  return request('GET', '/api/v1/sites', { signal });
}

export function live(site: string, signal?: AbortSignal): Promise<Live> {
  return request('GET', `/api/v1/live?site_id=${encodeURIComponent(site)}`, { signal });
}

export function ownHit(site: string, signal?: AbortSignal): Promise<OwnHit> {
  return request('GET', `/debug/hit?site_id=${encodeURIComponent(site)}`, { signal });
}

export function settings(site: string, signal?: AbortSignal): Promise<SiteSettings> {
  return request('GET', `/api/v1/settings?site_id=${encodeURIComponent(site)}`, { signal });
}

/** One question; those of one moment travel together. */
export { ask } from './round';

/** Several questions about a site in one request; the answers come in their order. `round.ts` is who asks. */
export async function askAll(site: string, queries: readonly Query[], signal?: AbortSignal): Promise<readonly Outcome[]> {
  const body = { site_id: site, queries };
  const { answers } = await request<{ answers: readonly Outcome[] }>('POST', '/api/v2/queries', { body, signal });
  return answers;
}

/** One answer as CSV; the server makes it safe for spreadsheets. */
export function askCsv(query: Query): Promise<string> {
  return request('POST', '/api/v2/query', { body: query, accept: 'text/csv' });
}

/** The failure of one question among others. */
export function failureOfStatus(status: number, detail: string): ApiError {
  return new ApiError(kindOf(status), status, detail.slice(0, MAX_DETAIL));
}

export interface RequestOptions {
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** A 401 is an answer here, not a lost session. */
  readonly quiet?: boolean;
  /** Where the usual time is not enough, in milliseconds. */
  readonly patience?: number;
  /** Another form of the answer, such as `text/csv`: it is returned as the text it is. */
  readonly accept?: string;
}

export async function request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
  const timeout = AbortSignal.timeout(options.patience ?? TIMEOUT_MS);
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, {
      method,
      credentials: link === '' ? 'same-origin' : 'omit',
      cache: 'no-store',
      headers: {
        Accept: options.accept ?? 'application/json',
        ...(link === '' ? {} : { 'X-Metka-Link': link }),
        ...(options.body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
    });
    text = await response.text();
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(timeout.aborted ? 'timeout' : 'offline', 0, '');
  }
  if (!response.ok) {
    const kind = kindOf(response.status);
    if (kind === 'signed-out' && !options.quiet) signedOut();
    throw new ApiError(kind, response.status, textOf(text, 'error'), textOf(text, 'needs'), Number(response.headers.get('Retry-After')) || 0);
  }
  if (options.accept !== undefined) return text as T;
  if (text === '') return undefined as T;
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError('server', response.status, '');
  }
}

function kindOf(status: number): FailureKind {
  if (status === 401) return 'signed-out';
  if (status === 403) return 'forbidden';
  // The question needs more time or memory than the server gives.
  if (status === 422) return 'timeout';
  if (status === 429 || status === 503) return 'busy';
  return status < 500 ? 'refused' : 'server';
}

/** A text of a JSON answer, such as its `error`; other answers (a proxy's page) are not shown. */
function textOf(text: string, key: string): string {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) {
      const found = (parsed as Record<string, unknown>)[key];
      if (typeof found === 'string') return found.slice(0, MAX_DETAIL);
    }
  } catch {
    // Not JSON: nothing a person could use.
  }
  return '';
}
