/** What a site keeps beside its numbers, for the dashboard: goals, funnels, segments, notes. */
import { kept, type Kept } from '../api/kept';
import { nameSegments } from '../words/segments';
import { useAsked, type Asked } from './asked';

/** Asks once, and again when something was changed from the page (`again`). */
export function useKept(site: string): Asked<Kept> {
  return useAsked(`kept ${site}`, 0, async (signal) => {
    const answer = await kept(site, signal);
    nameSegments(answer.segments);
    return answer;
  });
}
