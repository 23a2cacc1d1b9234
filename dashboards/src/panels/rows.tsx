/**
 * The rows of a breakdown as a table with bars. The label of a row is a button
 * that filters by it; `data-row` and `data-value` carry what the API answered.
 */
import type { Row, Value } from '../api/types';
import { changeOf } from '../model/change';
import type { MetricName } from '../model/metrics';
import type { Breakdown } from '../model/panels';
import { isFiltered, type View } from '../model/view';
import { Few } from '../parts/guard';
import { NO_NUMBER } from '../words/formats';
import { labelOf } from '../words/labels';
import { useWords } from '../words/language';

/** Merged by the guard of small counts: not a value to filter by. */
const MERGED = '(other)';

interface Props {
  readonly breakdown: Breakdown;
  readonly metrics: readonly MetricName[];
  readonly rows: readonly Row[];
  /** All visitors, of which each row is a share. */
  readonly visitors: Value;
  readonly view: View;
  /** A group of fewer people is not shown; null where numbers are exact. */
  readonly few: number | null;
  readonly full?: boolean;
  readonly onToggle: (value: string) => void;
}

export function Rows({ breakdown, metrics, rows, visitors, view, few, full = false, onToggle }: Props) {
  const words = useWords();
  const { t, format } = words;
  // A second number leaves no room for the share in a panel.
  const shared = metrics[0] === 'visitors' && (full || metrics.length === 1);
  const compared = full && rows.some((row) => row.comparison);
  const largest = Math.max(1, ...rows.map((row) => row.metrics[0] ?? 0));
  return (
    <table class="rows" data-full={full} data-columns={metrics.length}>
      <thead>
        <tr>
          <th scope="col">{words.find(`dimension.${breakdown.id}`)}</th>
          {metrics.map((metric) => (
            <th scope="col" key={metric} data-column={metric}>
              {t(`metric.${metric}`)}
            </th>
          ))}
          {compared && (
            <th scope="col" data-column="change">
              {t('metric.change')}
            </th>
          )}
          {shared && (
            <th scope="col" data-column="share">
              {t('metric.share')}
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => {
          const value = row.dimensions[0] ?? '';
          const label = labelOf(words, breakdown.dimension, value);
          const chosen = isFiltered(view, breakdown.dimension, value);
          const share = ((row.metrics[0] ?? 0) / largest) * 100;
          return (
            <tr key={value} data-row={value} data-value={String(row.metrics[0] ?? null)}>
              <th scope="row" class="row-label" style={{ '--share': `${share.toFixed(2)}%` }}>
                {value === MERGED ? (
                  <span class="row-text row-merged" title={t('guard.merged_hint')}>
                    {label}
                  </span>
                ) : (
                  <button
                    type="button"
                    class="row-text"
                    aria-pressed={chosen}
                    title={label}
                    onClick={() => onToggle(value)}
                  >
                    {label}
                  </button>
                )}
              </th>
              {metrics.map((metric, index) => (
                <td key={metric} data-column={metric} data-value={String(row.metrics[index] ?? null)}>
                  {few !== null && (row.metrics[index] ?? null) === null ? (
                    <Few k={few} />
                  ) : (
                    format[full ? 'metric' : 'short'](metric, row.metrics[index] ?? null)
                  )}
                </td>
              ))}
              {compared && (
                <td data-column="change">
                  <RowChange metric={metrics[0] ?? 'visitors'} row={row} />
                </td>
              )}
              {shared && (
                <td class="row-share" data-column="share">
                  {visitors ? format.share((row.metrics[0] ?? 0) / visitors) : NO_NUMBER}
                </td>
              )}
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function RowChange({ metric, row }: { readonly metric: MetricName; readonly row: Row }) {
  const { format } = useWords();
  const change = changeOf(metric, row.metrics[0] ?? null, row.comparison?.metrics[0] ?? null);
  if (!change) return <>{NO_NUMBER}</>;
  return (
    <span class="change" data-direction={change.direction} data-good={change.good ?? undefined}>
      {format.change(change)}
    </span>
  );
}
