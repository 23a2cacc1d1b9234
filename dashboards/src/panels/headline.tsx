/** The headline numbers, each against the compared period, and the graph of the chosen one. */
import { useAnswer, type Load } from '../load';
import { changeOf } from '../model/change';
import { HEADLINE, type MetricName } from '../model/metrics';
import { comparedDays, daysOf, intervalsOf, rangePeriod, type Now } from '../model/period';
import { comparedSeriesQuery, comparedTotalsQuery, intervalOf, seriesQuery } from '../model/questions';
import { seriesOf } from '../model/series';
import type { View } from '../model/view';
import type { Value } from '../api/types';
import { Failure } from '../parts/failure';
import { Boundary } from '../parts/boundary';
import { Icon } from '../parts/icons';
import { useWords } from '../words/language';
import { Graph } from './graph';

interface Props {
  readonly view: View;
  readonly now: Now;
  readonly totals: Load;
  readonly refresh: number;
  readonly onView: (view: View, how?: 'push' | 'replace') => void;
}

export function Headline({ view, now, totals, refresh, onView }: Props) {
  const { t } = useWords();
  const compared = useAnswer(comparedTotalsQuery(view, now), 'totals', refresh);
  const row = totals.answer?.results[0];
  const before = compared.state === 'ready' ? compared.answer?.results[0] : undefined;
  // No row at all is a period in which nothing happened.
  const value = (index: number): Value => (totals.answer ? (row?.metrics[index] ?? null) : null);

  return (
    <section class="card headline" aria-labelledby="headline-title" data-region="headline" data-state={totals.state}>
      <h2 id="headline-title" class="visually-hidden">
        {t('headline.title')}
      </h2>
      <div class="numbers" aria-busy={totals.state === 'loading'}>
        {HEADLINE.map((metric, index) => (
          <HeadlineNumber
            key={metric}
            metric={metric}
            value={value(index)}
            before={before?.metrics[index] ?? null}
            known={totals.answer !== null}
            compared={compared.state === 'ready' && compared.answer !== null}
            chosen={metric === view.metric}
            view={view}
            now={now}
            onChoose={() => onView({ ...view, metric }, 'replace')}
          />
        ))}
      </div>
      <Boundary>
        <GraphOfView view={view} now={now} refresh={refresh} onView={onView} />
      </Boundary>
    </section>
  );
}

/** Numbers from this length on are written smaller, in characters. */
const LONG_TEXT = 11;

interface NumberProps {
  readonly metric: MetricName;
  readonly value: Value;
  readonly before: Value;
  readonly known: boolean;
  readonly compared: boolean;
  readonly chosen: boolean;
  readonly view: View;
  readonly now: Now;
  readonly onChoose: () => void;
}

function HeadlineNumber({ metric, value, before, known, compared, chosen, view, now, onChoose }: NumberProps) {
  const { t, format } = useWords();
  const text = format.metric(metric, value);
  const change = compared ? changeOf(metric, value, before) : null;
  const days = comparedDays(view.period, daysOf(view.period, now.today), view.compare);
  const was = days && t('change.was', { value: format.metric(metric, before), period: format.days(days) });
  return (
    <button
      type="button"
      class="number"
      data-metric={metric}
      data-value={known ? String(value) : undefined}
      data-before={compared ? String(before) : undefined}
      aria-pressed={chosen}
      onClick={onChoose}
    >
      <span class="number-name">{t(`metric.${metric}`)}</span>
      {known ? (
        <span class="number-value" data-long={text.length >= LONG_TEXT}>
          {text}
        </span>
      ) : (
        <span class="bone number-bone" />
      )}
      <span class="number-change" title={compared && was ? was : undefined}>
        {change && (
          <span class="change" data-direction={change.direction} data-good={change.good ?? undefined}>
            {change.direction === 'up' && <Icon name="up" />}
            {change.direction === 'down' && <Icon name="fall" />}
            {format.change(change)}
          </span>
        )}
        {compared && !change && (
          <span class="change" aria-label={t('change.none')}>
            —
          </span>
        )}
        {compared && was && <span class="visually-hidden">{was}</span>}
      </span>
    </button>
  );
}

function GraphOfView({ view, now, refresh, onView }: Omit<Props, 'totals'>) {
  const { t } = useWords();
  const days = daysOf(view.period, now.today);
  const interval = intervalOf(view, now);
  const shape = `series ${view.metric} ${interval}`;
  const load = useAnswer(seriesQuery(view, now), shape, refresh);
  const compared = useAnswer(comparedSeriesQuery(view, now), shape, refresh);
  const series = load.answer && seriesOf(load.answer, view.metric, interval, now);
  const past = compared.answer && comparedDays(view.period, days, view.compare);
  const before = past && compared.answer ? seriesOf(compared.answer, view.metric, interval, now) : null;
  const intervals = intervalsOf(days);

  return (
    <div class="graph-area" data-region="graph" data-state={load.state} data-interval={interval}>
      {intervals.length > 1 && (
        <div class="segments small graph-interval" role="group" aria-label={t('graph.interval')}>
          {[...intervals]
            .sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b))
            .map((each) => (
              <button
                key={each}
                type="button"
                data-interval-choice={each}
                aria-pressed={each === interval}
                onClick={() => onView({ ...view, interval: each === intervals[0] ? null : each }, 'replace')}
              >
                {t(`graph.${each}`)}
              </button>
            ))}
        </div>
      )}
      {load.state === 'failed' ? (
        <Failure error={load.error} retry={load.retry} />
      ) : series ? (
        <Graph
          metric={view.metric}
          interval={interval}
          series={series}
          before={before}
          onZoom={(from, to) => onView({ ...view, period: rangePeriod(from, to), interval: null })}
        />
      ) : (
        <div class="graph bone" />
      )}
    </div>
  );
}

const ORDER = ['hour', 'day', 'week', 'month'];
