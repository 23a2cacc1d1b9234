/**
 * What is on the page as a file: one table with a row for each number, which
 * every spreadsheet can filter and pivot, or JSON with the answers as they came.
 *
 * A text that a spreadsheet would take for a formula gets an apostrophe before
 * it: names of pages and campaigns come from strangers. The rule is that of the
 * server's own tables (`src/export.rs`): a text begins with a sign of a formula,
 * or has one right after something at which another program may split the line.
 */
import type { Answer, Query } from '../api/types';

/** How formulas begin, also as full-width letters. */
const FORMULA = '=+-@\t\r\n＝＋－＠';
/** Where a line may be split, depending on who reads it. */
const SEPARATORS = ',;\t\r\n';
/** Between a separator and a formula these do not matter. */
const SKIPPED = ' "';

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

/** A number stays one, below zero too. */
function field(value: string | number): string {
  return typeof value === 'number' ? String(value) : quoted(guarded(value));
}

/** No formula, whoever reads it. */
function guarded(text: string): string {
  let safe = '';
  let mayBegin = true;
  for (const character of text) {
    if (mayBegin && FORMULA.includes(character)) {
      safe += "'";
      mayBegin = false;
    }
    if (SEPARATORS.includes(character)) mayBegin = true;
    else if (!SKIPPED.includes(character)) mayBegin = false;
    safe += character;
  }
  return safe;
}

function quoted(text: string): string {
  return /[",;\t\r\n]|^ | $/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
