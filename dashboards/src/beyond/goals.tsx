/** Conversions by goal; a click on one filters the whole page by it. */
import { useState } from 'preact/hooks';
import { ask } from '../api/client';
import type { Guarded } from '../api/kept';
import type { Answer, Value } from '../api/types';
import { isFiltered, withToggled } from '../model/view';
import { NO_NUMBER } from '../words/formats';
import type { BeyondProps } from './index';
import { useAsked } from './asked';
import { goalsQuery } from './model/questions';
import { money, type Money } from './model/money';
import { Answered, Csv, First, Panel, stateOf } from './parts/panel';
import { useBeyond } from './words';

/** Goals that are shown before the rest is asked for. */
const SHOWN = 8;
const DIMENSION = 'event:goal';

type GuardedAnswer = Answer & { readonly meta: Guarded };

interface Line {
  readonly name: string;
  readonly visitors: Value;
  readonly events: Value;
  readonly rate: Value;
  readonly revenue: Money | null;
}

export function Goals(props: BeyondProps) {
  const { site, session, view, now, refresh, kept } = props;
  const { t } = useBeyond();
  const goals = kept.answer?.goals ?? [];
  const paid = goals.some((goal) => goal.kind === 'event' && goal.currency !== undefined);
  const query = goalsQuery(view, now, paid);
  const none = kept.answer !== null && goals.length === 0;
  // The names of goals decide what is asked: without them nothing is.
  const key = kept.answer === null || none ? null : JSON.stringify([query, goals]);
  const load = useAsked(key, refresh, (signal) => ask(query, signal) as Promise<GuardedAnswer>);
  if (none) {
    return (
      <Panel name="goals" state="empty">
        <First
          title={t('goals.none_title')}
          text={t('goals.none_text')}
          action={t('goals.first')}
          section="goals"
          site={site.id}
          session={session}
        />
      </Panel>
    );
  }
  const failed = kept.state === 'failed';
  return (
    <Panel
      name="goals"
      state={failed ? 'failed' : kept.answer === null ? 'loading' : stateOf(load)}
      head={<Csv name="query" title={t('goals.title')} question={query} />}
    >
      <Answered load={failed ? { ...load, state: 'failed', error: kept.error, again: kept.again } : load}>
        {(answer) => <Table {...props} lines={linesOf(answer, goals.map((goal) => goal.name))} paid={paid} />}
      </Answered>
    </Panel>
  );
}

/** Goals that were reached in their order, then those that were not. */
function linesOf(answer: Answer, goals: readonly string[]): readonly Line[] {
  const found = answer.results.map(({ dimensions, metrics }) => ({
    name: dimensions[0] ?? '',
    visitors: metrics[0] ?? null,
    events: metrics[1] ?? null,
    rate: metrics[2] ?? null,
    revenue: money(metrics[3]),
  }));
  const names = new Set(found.map((line) => line.name));
  const missing = goals.filter((name) => !names.has(name));
  return [...found, ...missing.map((name) => ({ name, visitors: 0, events: 0, rate: 0, revenue: null }))];
}

interface TableProps extends BeyondProps {
  readonly lines: readonly Line[];
  readonly paid: boolean;
}

function Table({ view, onView, lines, paid }: TableProps) {
  const words = useBeyond();
  const { t, format, language } = words;
  const [all, setAll] = useState(false);
  const largest = Math.max(1, ...lines.map((line) => line.visitors ?? 0));
  const percent = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 });
  const number = (value: Value) => (value === null ? NO_NUMBER : format.number(value));
  return (
    <>
      <table class="rows beyond-goals" data-columns={paid ? 4 : 3}>
        <thead>
          <tr>
            <th scope="col">{t('goals.goal')}</th>
            <th scope="col" data-column="visitors">
              {t('goals.visitors')}
            </th>
            <th scope="col" data-column="events">
              {t('goals.events')}
            </th>
            <th scope="col" data-column="rate" title={t('goals.rate_hint')}>
              {t('goals.rate')}
            </th>
            {paid && (
              <th scope="col" data-column="revenue">
                {t('goals.revenue')}
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {(all ? lines : lines.slice(0, SHOWN)).map((line) => (
            <tr key={line.name} data-row={line.name} data-value={String(line.visitors)}>
              <th
                scope="row"
                class="row-label"
                style={{ '--share': `${(((line.visitors ?? 0) / largest) * 100).toFixed(2)}%` }}
              >
                {line.name === '(other)' ? (
                  <span class="row-text">{t('value.other')}</span>
                ) : (
                  <button
                    type="button"
                    class="row-text"
                    title={line.name}
                    aria-pressed={isFiltered(view, DIMENSION, line.name)}
                    onClick={() => onView(withToggled(view, DIMENSION, line.name))}
                  >
                    {line.name}
                  </button>
                )}
              </th>
              <td data-column="visitors" data-value={String(line.visitors)}>
                {number(line.visitors)}
              </td>
              <td data-column="events" data-value={String(line.events)}>
                {number(line.events)}
              </td>
              <td data-column="rate" data-value={String(line.rate)}>
                {line.rate === null ? NO_NUMBER : percent.format(line.rate / 100)}
              </td>
              {paid && (
                <td data-column="revenue" data-value={String(line.revenue?.value ?? null)}>
                  {line.revenue === null ? NO_NUMBER : written(language, line.revenue)}
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {lines.length > SHOWN && (
        <button type="button" class="quiet panel-all" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? t('goals.fewer') : t('goals.all', { count: lines.length, number: format.number(lines.length) })}
        </button>
      )}
    </>
  );
}

/** Money as it is written in a language; an unknown currency keeps its letters. */
function written(language: string, { value, currency }: Money): string {
  const digits = { maximumFractionDigits: Number.isInteger(value) || value >= 1000 ? 0 : 2 };
  try {
    if (currency !== '') return new Intl.NumberFormat(language, { style: 'currency', currency, currencyDisplay: 'narrowSymbol', ...digits }).format(value);
  } catch {
    // Not a code of a currency: shown as it came.
  }
  return `${new Intl.NumberFormat(language, digits).format(value)} ${currency}`.trim();
}
