/** The questions of the officer's page, a function for each. */
import { request } from './client';
import type {
  Asked,
  AuditEntry,
  AuditFilter,
  Disclosure,
  Incident,
  NewDisclosure,
  NewIncident,
  NewRequest,
  Outcome,
  PolicyTable,
  Register,
  Request,
  RequestChange,
  RequestFilter,
  RetentionReport,
  Verified,
} from './officer-types';

export * from './officer-types';

/** How long a job may take, in milliseconds: an erasure waits for storage and spool, two minutes each. */
const JOB_PATIENCE_MS = 300_000;

export const requests = (filter: RequestFilter, signal?: AbortSignal): Promise<Register> =>
  get(`/api/v1/requests${search(filter)}`, signal);

export const oneRequest = (number: string, signal?: AbortSignal): Promise<Request> =>
  get(`/api/v1/requests/${encodeURIComponent(number)}`, signal);

export const addRequest = (body: NewRequest): Promise<Request> =>
  request('POST', '/api/v1/requests', { body, patience: JOB_PATIENCE_MS });

export const changeRequest = (number: string, body: RequestChange): Promise<Request> =>
  request('POST', `/api/v1/requests/${encodeURIComponent(number)}`, { body });

export const doJob = (body: Asked): Promise<Outcome> =>
  request('POST', '/api/v1/subjects', { body, patience: JOB_PATIENCE_MS });

/** The address of an act's page. */
export const actAddress = (name: string): string => `/api/v1/acts/${encodeURIComponent(name)}`;

export const auditEntries = (
  filter: AuditFilter,
  signal?: AbortSignal,
): Promise<{ readonly entries: readonly AuditEntry[] }> => get(`/api/v1/audit${search(filter)}`, signal);

export const verifyAudit = (signal?: AbortSignal): Promise<Verified> => get('/api/v1/audit/verify', signal);

export const lastRetention = (signal?: AbortSignal): Promise<RetentionReport | null> =>
  get('/api/v1/retention', signal);

export const runRetention = (dry_run: boolean): Promise<RetentionReport> =>
  request('POST', '/api/v1/retention', { body: { dry_run }, patience: JOB_PATIENCE_MS });

export const policy = (site: string, signal?: AbortSignal): Promise<PolicyTable> =>
  get(`/api/v1/policy${search({ site_id: site })}`, signal);

/** The address of the policy's page to be printed. */
export const policyPage = (site: string, language: string): string =>
  `/api/v1/policy${search({ site_id: site, format: 'html', language })}`;

export const disclosures = (
  site: string,
  signal?: AbortSignal,
): Promise<{ readonly disclosures: readonly Disclosure[] }> =>
  get(`/api/v1/disclosures${search({ site_id: site })}`, signal);

export const disclose = (body: NewDisclosure): Promise<{ readonly disclosure: Disclosure; readonly text: string }> =>
  request('POST', '/api/v1/disclosures', { body, patience: JOB_PATIENCE_MS });

export const incidents = (signal?: AbortSignal): Promise<{ readonly incidents: readonly Incident[] }> =>
  get('/api/v1/incidents', signal);

export const oneIncident = (number: string, signal?: AbortSignal): Promise<Incident> =>
  get(`/api/v1/incidents/${encodeURIComponent(number)}`, signal);

export const addIncident = (body: NewIncident): Promise<Incident> =>
  request('POST', '/api/v1/incidents', { body, patience: JOB_PATIENCE_MS });

export const changeIncident = (
  number: string,
  body: { readonly done: string } | { readonly close: { readonly result: string } },
): Promise<Incident> => request('POST', `/api/v1/incidents/${encodeURIComponent(number)}`, { body });

export const matchIncident = (
  number: string,
  match: readonly string[],
): Promise<{ readonly affected: readonly string[] }> =>
  request('POST', `/api/v1/incidents/${encodeURIComponent(number)}`, { body: { match }, patience: JOB_PATIENCE_MS });

export const beginSecondFactor = (current: string): Promise<{ readonly secret: string; readonly uri: string }> =>
  request('POST', '/api/v1/account/totp', { body: { current }, quiet: true });

export const confirmSecondFactor = (code: string): Promise<unknown> =>
  request('POST', '/api/v1/account/totp/confirm', { body: { code }, quiet: true });

export const removeSecondFactor = (current: string, code: string): Promise<unknown> =>
  request('POST', '/api/v1/account/totp/remove', { body: { current, code }, quiet: true });

function get<T>(path: string, signal: AbortSignal | undefined): Promise<T> {
  return request('GET', path, { signal });
}

/** The search part of an address, without what is empty or false. */
function search(filter: object): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(filter)) {
    if (value !== undefined && value !== '' && value !== false) parameters.set(key, String(value));
  }
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}
