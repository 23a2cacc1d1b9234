/** Where on the graph the remarks of the site stand. */
import type { Interval, Note } from '../api/types';
import type { Day } from './calendar';

export interface Flag {
  /** The bucket of the graph that the day is in. */
  readonly index: number;
  readonly notes: readonly Note[];
}

/** One flag for each bucket that has remarks, in the order of time; remarks of other days are left out. */
export function flagsOf(notes: readonly Note[], labels: readonly string[], interval: Interval, lastDay: Day): readonly Flag[] {
  const found = new Map<number, Note[]>();
  for (const note of [...notes].sort((one, other) => (one.day < other.day ? -1 : 1))) {
    const index = bucketOf(note.day, labels, interval);
    if (index < 0 || note.day > lastDay) continue;
    found.set(index, [...(found.get(index) ?? []), note]);
  }
  return [...found].sort(([one], [other]) => one - other).map(([index, all]) => ({ index, notes: all }));
}

/** The bucket that a day is in: the first hour of it, or the last one that begins no later. */
function bucketOf(day: Day, labels: readonly string[], interval: Interval): number {
  if (interval === 'hour') return labels.findIndex((label) => label.slice(0, 10) === day);
  if (day < (labels[0] ?? '').slice(0, 10)) return -1;
  return labels.findLastIndex((label) => label.slice(0, 10) <= day);
}
