/** From what was typed to a case file, and what of its answer is told. Pure; nothing is kept. */
import {
  CASE_PURPOSES,
  MAX_CASE_ROWS,
  type CaseFile,
  type CaseFormat,
  type CaseHit,
  type CaseVisit,
  type NewCase,
} from '../../api/security';
import { instantOf } from '../../model/calendar';
import { FormProblem, whoOf, type Typed, type WhoWay } from '../../officer/model/forms';
import type { Language } from '../../words/language';
import { needed, oneLine } from './check';

/** By what a person is named; a request's number is the officer's. */
export const CASE_WAYS: readonly WhoWay[] = ['cookie', 'user', 'address'];
export const FORMATS: readonly CaseFormat[] = ['json', 'html', 'csv'];

export function caseOf(typed: Typed, timezone: string, language: Language): NewCase {
  const who = whoOf(typed, timezone);
  if (who === null) throw new FormProblem('who', 'form.empty');
  const purpose = CASE_PURPOSES.find((each) => each === typed['purpose']);
  if (!purpose) throw new FormProblem('purpose', 'form.empty');
  const [basis, from, to] = [oneLine(typed['basis'] ?? ''), moment(typed, 'from', timezone), moment(typed, 'to', timezone)];
  if (from !== null && to !== null && Date.parse(from) >= Date.parse(to)) throw new FormProblem('to', 'form.order');
  const around = moment(typed, 'around', timezone);
  const minutes = Number.parseInt(typed['minutes'] ?? '', 10);
  return {
    site: needed(typed, 'site'),
    who,
    purpose,
    words: oneLine(needed(typed, 'words')),
    ...(basis === '' ? {} : { basis }),
    ...(from === null ? {} : { from }),
    ...(to === null ? {} : { to }),
    ...(around === null ? {} : { around, ...(Number.isNaN(minutes) ? {} : { minutes }) }),
    limit: MAX_CASE_ROWS,
    format: FORMATS.find((each) => each === typed['format']) ?? 'json',
    language,
  };
}

/** How far the moment is from its visit, in whole minutes; null where it lies in one, or there is none. */
export function minutesAway({ visit_at }: CaseFile): number | null {
  return visit_at === null || visit_at.away_ms === 0 ? null : Math.max(1, Math.round(visit_at.away_ms / 60_000));
}

/** The addresses of a visit, each once, as tokens that can be opened. */
export function addressesOf({ trail }: CaseVisit): readonly string[] {
  return [...new Set(trail.map(tokenOf))].filter((token) => token !== '');
}

/** `HEX-KEY` of a case file as the token `a1-HEXKEY` of the statistics; empty without an address. */
function tokenOf({ address }: CaseHit): string {
  const found = /^([0-9a-f]{32})-(\d{1,10})$/.exec(String(address ?? ''));
  return found ? `a1-${found[1]}${Number(found[2]).toString(16).padStart(8, '0')}` : '';
}

/** What of a hit stands in one cell, without what is empty. */
export function told(hit: CaseHit, ...names: readonly string[]): string {
  return names
    .map((name) => hit[name])
    .filter((text) => typeof text === 'string' && text !== '')
    .join(', ');
}

function moment(typed: Typed, field: string, timezone: string): string | null {
  const text = (typed[field] ?? '').trim();
  if (text === '') return null;
  const parts = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})/.exec(text);
  if (!parts) throw new FormProblem(field, 'form.moment');
  return instantOf(parts[1] ?? '', parts[2] ?? '', timezone);
}
