/** Everything that the page can show for a view, as one file: one request for all of it. */
import { ask } from './api/round';
import { csvOf, jsonOf, type Part } from './model/export';
import { PANELS, offeredOf, MARKS } from './model/panels';
import type { Now } from './model/period';
import { fileQuery, seriesQuery, totalsQuery } from './model/questions';
import { isNarrowed, type View } from './model/view';
import type { Query } from './api/types';

/** Rows of each breakdown; its own file has more. */
const ROWS = 1_000;

/** The file's text. */
export async function exportAll(view: View, now: Now, format: 'csv' | 'json'): Promise<string> {
  const parts = await Promise.all(
    questionsOf(view, now).map(async ([name, query]): Promise<Part> => ({ name, query, answer: await ask(query) })),
  );
  return format === 'csv' ? csvOf(parts) : jsonOf(view.site, parts);
}

/** Every number of the page with its name there. */
export function questionsOf(view: View, now: Now): readonly (readonly [string, Query])[] {
  const breakdowns = PANELS.filter((panel) => panel.id !== MARKS || view.marked).flatMap((panel) =>
    offeredOf(panel, (dimension) => isNarrowed(view, dimension))
      .filter((each) => !each.map)
      .map((each): readonly [string, Query] => {
        const query = fileQuery(view, now, each);
        return [`${panel.id}.${each.id}`, { ...query, pagination: { limit: ROWS, offset: 0 } }];
      }),
  );
  return [['totals', totalsQuery(view, now)], ['series', seriesQuery(view, now)], ...breakdowns];
}
