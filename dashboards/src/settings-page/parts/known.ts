/** Values of a dimension that the site has seen lately, to choose from instead of typing. */
import { ask } from '../../api/client';
import { addDays, wallClock } from '../../model/calendar';
import { useLoaded } from '../../officer/parts/load';
import { labelOf } from '../../words/labels';
import { useHere } from '../here';
import { useSettings } from '../words';

/** How many are offered. */
const MAX_KNOWN = 50;
/** How far back they are looked for, in days. */
const DAYS = 30;
/** Not what people mean by a value. */
const HIDDEN: readonly string[] = ['', '(none)', '(not set)', '(other)', 'pageview', 'engagement'];

export function useKnown(dimension: string): readonly (readonly [value: string, name?: string])[] {
  const words = useSettings();
  const { site } = useHere();
  const load = useLoaded(`known ${site.id} ${dimension}`, (signal) => {
    const [today] = wallClock(new Date(), site.timezone);
    return ask(
      {
        site_id: site.id,
        metrics: ['visitors'],
        dimensions: [dimension],
        date_range: [addDays(today, 1 - DAYS), today],
        pagination: { limit: MAX_KNOWN, offset: 0 },
      },
      signal,
    );
  });
  // Without them the value is typed: a failure is no news here.
  return (load.answer?.results ?? [])
    .map((row) => row.dimensions[0] ?? '')
    .filter((value) => !HIDDEN.includes(value))
    .map((value) => {
      const name = labelOf(words, dimension, value);
      return name === value ? ([value] as const) : ([value, name] as const);
    });
}
