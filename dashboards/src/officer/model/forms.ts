/**
 * From what was typed to what the server takes. In: the texts of a form by the
 * names of its fields, and the site's time zone. Out: the body of a question, or
 * the name of the field that is wrong with the key of its sentence.
 *
 * Nothing is kept: who is identified goes into the body and nowhere else.
 */
import type {
  Asked,
  IncidentKind,
  Job,
  NewDisclosure,
  NewIncident,
  NewRequest,
  RecipientKind,
  RequestKind,
  Who,
} from '../../api/officer';
import { instantOf } from '../../model/calendar';

/** The texts of a form; of a field that occurs several times, all of them, one a line. */
export type Typed = Readonly<Record<string, string>>;

/** Which field is wrong, and the key of the sentence that says why. */
export class FormProblem extends Error {
  readonly field: string;
  readonly key: 'form.empty' | 'form.order' | 'form.long' | 'form.fields' | 'form.moment' | 'form.steps' | 'form.address';

  constructor(field: string, key: FormProblem['key']) {
    super(`${field}: ${key}`);
    this.name = 'FormProblem';
    this.field = field;
    this.key = key;
  }
}

export const WHO_WAYS = ['cookie', 'user', 'address', 'request', 'nobody'] as const;
export type WhoWay = (typeof WHO_WAYS)[number];

/** What one job is called in a form; an export's format is a field of its own. */
export const JOB_NAMES = [
  'find',
  'export',
  'block',
  'unblock',
  'hold',
  'release',
  'rectify',
  'withdraw_marketing',
  'opt_out',
  'erase',
] as const;
export type JobName = (typeof JOB_NAMES)[number];

/** The most keys that one question about an incident takes, and their bytes: the server's body is 64 KiB. */
export const MAX_KEYS = 1000;
export const MAX_KEYS_BYTES = 48 << 10;

export function typedOf(form: HTMLFormElement): Typed {
  const typed: Record<string, string> = {};
  for (const [name, value] of new FormData(form)) {
    if (typeof value !== 'string') continue;
    typed[name] = typed[name] === undefined ? value : `${typed[name]}\n${value}`;
  }
  return typed;
}

/** How long a text is for the server, in bytes. */
export function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Who is meant; null for nobody. */
export function whoOf(typed: Typed, timezone: string, request?: string): Who | null {
  switch (typed['who'] as WhoWay | undefined) {
    case 'cookie':
      return { cookie: cookieValue(needed(typed, 'cookie')) };
    case 'user':
      return { user: needed(typed, 'user') };
    case 'address': {
      const [from, to] = range(typed, 'address_from', 'address_to', timezone);
      return { address: { ip: needed(typed, 'ip'), from, to } };
    }
    case 'request':
      if (request !== undefined) return { request };
      return null;
    default:
      return null;
  }
}

/** People copy `metka=VALUE;` from the browser's tools: the value alone is meant. */
export function cookieValue(text: string): string {
  const found = /^[\w-]+=([^;=\s]+);?$/.exec(text.trim());
  return found?.[1] ?? text.trim();
}

export function newRequestOf(typed: Typed, timezone: string): NewRequest {
  const kind = needed(typed, 'kind') as RequestKind;
  const about = kind === 'claim' ? said(typed, 'about') : '';
  const received = said(typed, 'received');
  const purpose = said(typed, 'purpose');
  return {
    site: needed(typed, 'site'),
    kind,
    ...(about === '' ? {} : { about: about as RequestKind }),
    who: whoOf(typed, timezone),
    ...(received === '' ? {} : { received: moment(received, 'received', timezone) }),
    ...(purpose === '' ? {} : { purpose }),
  };
}

/** A job on one person. An erasure also takes who answers for it, which is asked later. */
export function askedOf(typed: Typed, timezone: string, request?: string): Asked {
  const who = whoOf(typed, timezone, request);
  if (who === null) throw new FormProblem('who', 'form.empty');
  return {
    job: jobOf(typed, timezone),
    site: needed(typed, 'site'),
    who,
    purpose: oneLine(needed(typed, 'purpose')),
    ...(request === undefined ? {} : { request }),
  };
}

function jobOf(typed: Typed, timezone: string): Job {
  const name = needed(typed, 'job') as JobName;
  switch (name) {
    case 'export':
      return { export: needed(typed, 'format') as 'json' | 'csv' | 'html' };
    case 'rectify': {
      const [from, to] = [said(typed, 'rectify_from'), said(typed, 'rectify_to')];
      const since = from === '' ? undefined : moment(from, 'rectify_from', timezone);
      const until = to === '' ? undefined : moment(to, 'rectify_to', timezone);
      if (since !== undefined && until !== undefined && Date.parse(since) >= Date.parse(until)) {
        throw new FormProblem('rectify_to', 'form.order');
      }
      return {
        rectify: {
          field: typed['field'] === 'props' ? `props.${needed(typed, 'property')}` : needed(typed, 'field'),
          value: said(typed, 'value'),
          ...(since === undefined ? {} : { from: since }),
          ...(until === undefined ? {} : { to: until }),
        },
      };
    }
    default:
      return name;
  }
}

export function disclosureOf(typed: Typed, timezone: string): NewDisclosure {
  const request = said(typed, 'request');
  const head = {
    site: needed(typed, 'site'),
    recipient: oneLine(needed(typed, 'recipient')),
    recipient_kind: needed(typed, 'recipient_kind') as RecipientKind,
    basis: oneLine(needed(typed, 'basis')),
    purpose: oneLine(needed(typed, 'purpose')),
  };
  const tail = {
    format: needed(typed, 'format') as 'json' | 'csv',
    ...(request === '' ? {} : { request }),
  };
  if (typed['scope'] === 'range') {
    const [from, to] = range(typed, 'range_from', 'range_to', timezone);
    const fields = lines(typed['fields'] ?? '');
    if (fields.length === 0) throw new FormProblem('fields', 'form.fields');
    return { ...head, scope: { range: { from, to, fields } }, ...tail };
  }
  const who = whoOf(typed, timezone, request === '' ? undefined : request);
  if (who === null) throw new FormProblem(typed['who'] === 'request' ? 'request' : 'who', 'form.empty');
  return { ...head, scope: { person: who }, ...tail };
}

export function incidentOf(typed: Typed, timezone: string): NewIncident {
  const [from, to] = range(typed, 'from', 'to', timezone);
  const detected = said(typed, 'detected');
  return {
    site: needed(typed, 'site'),
    kind: needed(typed, 'kind') as IncidentKind,
    from,
    to,
    ...(detected === '' ? {} : { detected: moment(detected, 'detected', timezone) }),
    what: oneLine(needed(typed, 'what')),
  };
}

/** The keys of a list, one a line, or separated by commas or semicolons; each once. */
export function keysOf(text: string): string[] {
  const keys = [...new Set(text.split(/[\r\n,;]+/).map((key) => key.trim()))].filter((key) => key !== '');
  if (keys.length === 0) throw new FormProblem('keys', 'form.empty');
  if (keys.length > MAX_KEYS || bytes(keys.join('')) > MAX_KEYS_BYTES) throw new FormProblem('keys', 'form.long');
  return keys;
}

function said(typed: Typed, field: string): string {
  return (typed[field] ?? '').trim();
}

function needed(typed: Typed, field: string): string {
  const text = said(typed, field);
  if (text === '') throw new FormProblem(field, 'form.empty');
  return text;
}

/** The trail takes one line. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function moment(text: string, field: string, timezone: string): string {
  const parts = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})/.exec(text);
  if (!parts) throw new FormProblem(field, 'form.moment');
  return instantOf(parts[1] ?? '', parts[2] ?? '', timezone);
}

function range(typed: Typed, first: string, last: string, timezone: string): [string, string] {
  const from = moment(needed(typed, first), first, timezone);
  const to = moment(needed(typed, last), last, timezone);
  if (Date.parse(from) >= Date.parse(to)) throw new FormProblem(last, 'form.order');
  return [from, to];
}
