/** Retention as shares: of each cohort, and of all cohorts together. */
import type { Cohort } from '../../api/kept';
import type { Value } from '../../api/types';

/** The most weeks after the first that are shown. */
export const MAX_WEEKS = 26;

/** The share of a cohort that was there `week` weeks later; null where it is not known, undefined where it is still to come. */
export function shareOf(cohort: Cohort, week: number): Value | undefined {
  const there = cohort.returned[week];
  if (there === undefined) return undefined;
  if (there === null || !cohort.visitors) return null;
  return there / cohort.visitors;
}

/** The share over all cohorts that have got so far: people, not the mean of shares. */
export function shareOfAll(cohorts: readonly Cohort[], week: number): Value {
  let [there, all] = [0, 0];
  for (const cohort of cohorts) {
    const returned = cohort.returned[week];
    if (typeof returned !== 'number' || !cohort.visitors) continue;
    there += returned;
    all += cohort.visitors;
  }
  return all === 0 ? null : there / all;
}

/** How many columns there are: week 0 says nothing, it is everybody. */
export function weeksOf(cohorts: readonly Cohort[]): number {
  return Math.min(MAX_WEEKS, Math.max(0, ...cohorts.map((each) => each.returned.length - 1)));
}

/** How strongly a share is shaded, in percent of the colour: less than what would hide the text. */
export function heat(share: Value, largest: number): number {
  const MOST = 46;
  return share === null || largest <= 0 ? 0 : Math.round(Math.min(1, share / largest) * MOST);
}
