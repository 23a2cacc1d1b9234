/** What is typed becomes what is kept. Pure; what is wrong names its field. */
import type { Every, Filters, Funnel, Goal, GoalKind, Link, New, Note, Report } from '../../api/kept';
import type { FilterClause, Operator } from '../../api/types';
import { FormProblem, type Typed } from '../../officer/model/forms';

/** What a form takes, in bytes; the server has the last word. */
export const MAX_NAME_BYTES = 120;
export const MAX_VALUE_BYTES = 500;
export const MAX_NOTE_BYTES = 600;
export const MAX_RECIPIENTS_BYTES = 2000;

export const GOAL_KINDS: readonly GoalKind[] = ['event', 'page', 'scroll', 'ad_click'];

/** Offered for an event that brings money; another one that is kept stays. */
export const CURRENCIES: readonly string[] = ['RUB', 'BYN', 'KZT', 'AMD', 'GEL', 'UZS', 'EUR', 'USD'];

/** More filters on a link than these would be refused by the guard for whoever opens it. */
export const MAX_LINK_FILTERS = 3;

/** The days that a link may live; empty is until it is removed. */
export const LINK_DAYS: readonly string[] = ['7', '30', '90', '365', ''];

export const EVERY: readonly Every[] = ['day', 'week', 'month'];

const DAY_MS = 86_400_000;
const ADDRESS = /^[^\s@,;]+@[^\s@,;]+\.[^\s@,;]+$/;

export function goalOf(typed: Typed, id: string | undefined): New<Goal> {
  const kind = needed(typed, 'kind') as GoalKind;
  const head = { ...(id === undefined ? {} : { id }), name: needed(typed, 'name') };
  switch (kind) {
    case 'event': {
      const currency = said(typed, 'currency');
      return { ...head, kind, value: needed(typed, 'value'), ...(currency === '' ? {} : { currency }) };
    }
    case 'page':
      return { ...head, kind, value: path(needed(typed, 'value')) };
    case 'scroll':
      return { ...head, kind, value: path(needed(typed, 'value')), percent: Number(needed(typed, 'percent')) };
    case 'ad_click':
      return { ...head, kind, value: said(typed, 'value') };
  }
}

export function funnelOf(typed: Typed, steps: readonly string[], id: string | undefined): New<Funnel> {
  const name = needed(typed, 'name');
  if (steps.length < 2) throw new FormProblem('step', 'form.steps');
  return { ...(id === undefined ? {} : { id }), name, steps };
}

export function noteOf(typed: Typed, id: string | undefined): New<Note> {
  return { ...(id === undefined ? {} : { id }), day: needed(typed, 'day'), text: needed(typed, 'text') };
}

export interface FilterRow {
  readonly dimension: string;
  readonly operator: Operator;
  readonly value: string;
}

/** `rows`: filters that were put together by hand; `taken`: those of a segment. */
export function linkOf(typed: Typed, taken: Filters, rows: readonly FilterRow[], now: number): New<Link> {
  const days = said(typed, 'days');
  return {
    name: needed(typed, 'name'),
    expires: days === '' ? null : now + Number(days) * DAY_MS,
    filters: [...taken, ...rows.map(clauseOf)],
  };
}

export function reportOf(typed: Typed, id: string | undefined): New<Report> {
  const to = [...new Set(needed(typed, 'to').split(/[\s,;]+/))].filter((each) => each !== '');
  if (!to.every((each) => ADDRESS.test(each))) throw new FormProblem('to', 'form.address');
  return {
    ...(id === undefined ? {} : { id }),
    to,
    every: needed(typed, 'every') as Every,
    language: needed(typed, 'language'),
  };
}

/** Moves one of a list up or down; at the ends it stays. */
export function moved<T>(list: readonly T[], at: number, by: -1 | 1): readonly T[] {
  const one = list[at];
  const other = list[at + by];
  if (one === undefined || other === undefined) return list;
  return list.with(at, other).with(at + by, one);
}

function clauseOf({ dimension, operator, value }: FilterRow, index: number): FilterClause {
  if (value.trim() === '') throw new FormProblem(`value-${index}`, 'form.empty');
  return [operator, dimension, [value.trim()]];
}

/** A path begins with a slash; people leave it out. */
function path(text: string): string {
  return text.startsWith('/') || text.startsWith('*') ? text : `/${text}`;
}

function said(typed: Typed, name: string): string {
  return (typed[name] ?? '').trim();
}

function needed(typed: Typed, name: string): string {
  const text = said(typed, name);
  if (text === '') throw new FormProblem(name, 'form.empty');
  return text;
}
