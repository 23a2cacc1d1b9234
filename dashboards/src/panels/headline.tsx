/** The headline numbers, each against the compared period, and the graph of the chosen one. */
import type { ComponentChildren } from 'preact';
import { useAnswer, type Load } from '../load';
import { changeOf } from '../model/change';
import { headlineOf, type MetricName } from '../model/metrics';
import { flagsOf } from '../model/notes';
import { daysAt, intervalsOf, isUneven, rangePeriod, type Now } from '../model/period';
import { comparedDaysOf, comparedSeriesQuery, intervalOf, seriesQuery } from '../model/questions';
import { seriesOf } from '../model/series';
import { isOfGoal, type View } from '../model/view';
import type { Note, Value } from '../api/types';
import { Failure } from '../parts/failure';
import { Boundary } from '../parts/boundary';
import { Few } from '../parts/guard';
import { Icon } from '../parts/icons';
import { useWords } from '../words/language';
import { Graph } from './graph';

interface Props {
  readonly view: View;
  readonly now: Now;
  readonly totals: Load;
  readonly refresh: number;
  readonly notes: readonly Note[];
  /** The view before a closer look, to go back to; null when there is none. */
  readonly onBack: (() => void) | null;
  readonly onView: (view: View, how?: 'push' | 'replace' | 'closer') => void;
}

export function Headline({ view, now, totals, refresh, notes, onBack, onView }: Props) {
  const { t } = useWords();
  const row = totals.answer?.results[0];
  const metrics = headlineOf(isOfGoal(view));
  const few = totals.answer?.meta.guard?.k ?? null;
  const compared = comparedDaysOf(view, now) !== null;
  // No row at all is a period in which nothing happened.
  const value = (index: number): Value => (totals.answer ? (row?.metrics[index] ?? null) : null);

  return (
    <section class="card headline" aria-labelledby="headline-title" data-region="headline" data-state={totals.state}>
      <h2 id="headline-title" class="visually-hidden">
        {t('headline.title')}
      </h2>
      <div class="numbers" aria-busy={totals.state === 'loading'}>
        {metrics.map((metric, index) => (
          <HeadlineNumber
            key={metric}
            metric={metric}
            value={value(index)}
            before={row?.comparison?.metrics[index] ?? null}
            known={totals.answer !== null}
            compared={compared && row?.comparison !== undefined}
            few={few}
            chosen={metric === view.metric}
            view={view}
            now={now}
            onChoose={() => onView({ ...view, metric }, 'replace')}
          />
        ))}
      </div>
      <Boundary>
        <GraphOfView view={view} now={now} refresh={refresh} notes={notes} onBack={onBack} onView={onView} />
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
  /** A group of fewer people is not shown; null where numbers are exact. */
  readonly few: number | null;
  readonly chosen: boolean;
  readonly view: View;
  readonly now: Now;
  readonly onChoose: () => void;
}

function HeadlineNumber({ metric, value, before, known, compared, few, chosen, view, now, onChoose }: NumberProps) {
  const { t, find, format } = useWords();
  const text = format.metric(metric, value);
  const withheld = few !== null && value === null;
  const days = comparedDaysOf(view, now);
  // Half a month says nothing beside a whole one: the number itself is shown then.
  const uneven = isUneven(daysAt(view.period, now), now);
  const change = compared && !uneven ? changeOf(metric, value, before) : null;
  const past = few !== null && before === null ? t('guard.few') : format.metric(metric, before);
  const was = days && t('change.was', { value: past, period: format.days(days) });
  let below: ComponentChildren = null;
  if (change) {
    below = (
      <span class="change" data-direction={change.direction} data-good={change.good ?? undefined}>
        {change.direction === 'up' && <Icon name="up" />}
        {change.direction === 'down' && <Icon name="fall" />}
        {format.change(change)}
      </span>
    );
  } else if (compared && uneven) below = <span class="change">{t('change.before', { value: past })}</span>;
  else if (compared) {
    below = (
      <span class="change">
        <span aria-hidden="true">—</span>
        <span class="visually-hidden">{t('change.none')}</span>
      </span>
    );
  }
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
      <span class="number-name">{(isOfGoal(view) && find(`goal_metric.${metric}`)) || t(`metric.${metric}`)}</span>
      {!known ? (
        <span class="bone number-bone" />
      ) : withheld ? (
        <span class="number-value" data-long="true">
          <Few k={few} />
        </span>
      ) : (
        <span class="number-value" data-long={text.length >= LONG_TEXT}>
          {text}
        </span>
      )}
      <span class="number-change" title={compared && was ? was : undefined}>
        {below}
        {compared && was && <span class="visually-hidden">{was}</span>}
      </span>
    </button>
  );
}

function GraphOfView({ view, now, refresh, notes, onBack, onView }: Omit<Props, 'totals'>) {
  const { t } = useWords();
  const days = daysAt(view.period, now);
  const interval = intervalOf(view, now);
  const shape = `series ${view.metric} ${interval}`;
  const load = useAnswer(seriesQuery(view, now), shape, refresh);
  const compared = useAnswer(comparedSeriesQuery(view, now), shape, refresh);
  const series = load.answer && seriesOf(load.answer, view.metric, interval, now);
  const past = compared.answer && comparedDaysOf(view, now);
  const before = past && compared.answer ? seriesOf(compared.answer, view.metric, interval, now) : null;
  const intervals = intervalsOf(days, now.guarded);

  return (
    <div class="graph-area" data-region="graph" data-state={load.state} data-interval={interval}>
      {(intervals.length > 1 || onBack) && (
        <div class="graph-tools">
          {onBack && (
            <button type="button" class="button graph-back" data-back onClick={onBack}>
              <Icon name="back" />
              {t('graph.back')}
            </button>
          )}
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
          few={load.answer?.meta.guard?.k ?? null}
          flags={flagsOf(notes, series.labels, interval, days?.to ?? now.today)}
          onZoom={(from, to) =>
            onView({ ...view, period: rangePeriod(from, !now.guarded && to > now.today ? now.today : to), interval: null }, 'closer')
          }
        />
      ) : (
        <div class="graph bone" />
      )}
    </div>
  );
}

const ORDER = ['hour', 'day', 'week', 'month'];
