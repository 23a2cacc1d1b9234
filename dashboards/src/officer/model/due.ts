/**
 * How urgent a request is and how long a clock still runs: what is told by
 * comparing moments, before words are found for it.
 */
import type { Attention, Clock, Incident, Request } from '../../api/officer';

export type Urgency = 'overdue' | 'soon' | 'open' | 'done' | 'refused';

/** The register's own judgement: working days are its business. */
export function urgencyOf(request: Request, attention: Attention | null): Urgency {
  if (request.state !== 'open') return request.state;
  if (request.overdue) return 'overdue';
  return attention?.due_within_2_working_days.includes(request.number) ? 'soon' : 'open';
}

/** The most urgent first, then by due date; closed ones last, the newest first. */
export function byUrgency(requests: readonly Request[]): Request[] {
  const day = (request: Request): string => request.next_due_date ?? request.due_date;
  return [...requests].sort((a, b) => {
    if ((a.state === 'open') !== (b.state === 'open')) return a.state === 'open' ? -1 : 1;
    if (a.state !== 'open') return b.number.localeCompare(a.number);
    return day(a).localeCompare(day(b)) || a.number.localeCompare(b.number);
  });
}

/** A length of time in parts that people say: days and hours, or hours and minutes. */
export interface Span {
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
}

export interface Remaining {
  readonly late: boolean;
  readonly span: Span;
}

/** How long it is until `due`, or how long ago it was. A started minute counts as left. */
export function remaining(due: number, now: number): Remaining {
  const late = now >= due;
  const minutes = late ? Math.floor((now - due) / 60_000) : Math.ceil((due - now) / 60_000);
  return {
    late,
    span: { days: Math.floor(minutes / 1440), hours: Math.floor(minutes / 60) % 24, minutes: minutes % 60 },
  };
}

/** Whether a step was done, is late, or still has time. */
export function clockState(clock: Clock, now: number): 'done' | 'done-late' | 'late' | 'running' {
  if (clock.done !== null) return clock.done > clock.due ? 'done-late' : 'done';
  return clock.late || now >= clock.due ? 'late' : 'running';
}

/** The clocks of an incident that still run, the first due first. */
export function running(incident: Incident): Clock[] {
  if (incident.state !== 'open') return [];
  return incident.clocks.filter((clock) => clock.done === null).sort((a, b) => a.due - b.due);
}
