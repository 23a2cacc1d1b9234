/**
 * What is on the page as a file: one table with a row for each number, which
 * every spreadsheet can filter and pivot, or JSON with the answers as they came.
 *
 * A text that a spreadsheet would take for a formula gets an apostrophe before
 * it: names of pages and campaigns come from strangers.
 */
import type { Answer, Query } from '../api/types';

/** A spreadsheet calculates what begins so. */
const FORMULA = /^[=+\-@\t\r]/;

export interface Part {
  /** Where on the page it stands: `totals`, `series`, `pages.entry`. */
  readonly name: string;
  readonly query: Query;
  readonly answer: Answer;
}

/** `part,dimension,value,metric,number`. */
export function csvOf(parts: readonly Part[]): string {
  const lines: (readonly (string | number)[])[] = [['part', 'dimension', 'value', 'metric', 'number']];
  for (const { name, query, answer } of parts) {
    const dimension = query.dimensions?.join(' ') ?? '';
    for (const row of answer.results) {
      query.metrics.forEach((metric, at) => {
        lines.push([name, dimension, row.dimensions.join(' '), metric, row.metrics[at] ?? '']);
      });
    }
  }
  return csvText(lines);
}

/** Lines of fields as CSV, with the mark that has spreadsheets read UTF-8. */
export function csvText(lines: readonly (readonly (string | number)[])[]): string {
  return `\ufeff${lines.map((line) => line.map(field).join(',')).join('\r\n')}\r\n`;
}

export function jsonOf(site: string, parts: readonly Part[]): string {
  return `${JSON.stringify({ site, parts }, null, 2)}\n`;
}

function field(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) || safe !== value ? `"${safe.replaceAll('"', '""')}"` : safe;
}
