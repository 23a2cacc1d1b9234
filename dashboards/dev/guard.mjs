/**
 * What the guard of small counts does to the mock's answers, so that the page
 * can be looked at as a viewer sees it. Only looks like it: the guard itself is
 * the server's.
 */
const K = 10;
const ROUND = 5;
const DAY_MS = 86_400_000;
const MAX_FILTERS = 3;

const FREE = ['contains', 'contains_not', 'matches', 'matches_not'];

/** Why a question is not answered, or null. */
function refusal({ date_range, filters = [] }) {
  if (filters.some((filter) => JSON.stringify(filter).includes('/few'))) return 'set_too_small';
  if (filters.length > MAX_FILTERS) return 'too_many_filters';
  if (filters.some(([operator]) => FREE.includes(operator))) return 'free_text';
  if (date_range === 'all') return 'range';
  const [from, to] = date_range.map((each) => Date.parse(each));
  const days = (to - from) / DAY_MS + 1;
  const isMonth = date_range[0].endsWith('-01') && new Date(to + DAY_MS).getUTCDate() === 1 && days <= 31;
  const isWeek = days === 7 && new Date(from).getUTCDay() === 1;
  return days === 1 || isWeek || isMonth ? null : 'range';
}

function answer(found) {
  const counts = (found.query.metrics ?? []).map((name) => !/rate|duration|per_visit|ctr|depth|time_/.test(name));
  const round = (value, at) => (value === null || !counts[at] ? value : value < K ? null : Math.round(value / ROUND) * ROUND);
  const rows = found.results.map((row) => ({
    ...row,
    metrics: row.metrics.map(round),
    ...(row.comparison && { comparison: { ...row.comparison, metrics: row.comparison.metrics.map(round) } }),
  }));
  const isList = (found.query.dimensions ?? []).some((name) => !name.startsWith('time'));
  const few = isList ? rows.filter((row) => row.metrics[0] === null) : [];
  const shown = isList ? rows.filter((row) => row.metrics[0] !== null) : rows;
  if (few.length > 0) shown.push({ dimensions: ['(other)'], metrics: counts.map((is, at) => (is && at === 0 ? K : null)) });
  return { ...found, results: shown, meta: { ...found.meta, guard: { k: K, refused: null, merged_rows: few.length } } };
}

function live({ visitors, pages, sources }) {
  const guard = (rows) => {
    const few = rows.filter((row) => row.visitors < K);
    const shown = rows.filter((row) => row.visitors >= K);
    return few.length > 0 ? [...shown, { name: '(other)', visitors: few.reduce((sum, row) => sum + row.visitors, 0) }] : shown;
  };
  return { visitors: visitors < K ? '<10' : visitors, pages: guard(pages), sources: guard(sources) };
}

export const guarded = { refusal, answer, live };
