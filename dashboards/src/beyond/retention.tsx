/** Who came back: a row for each week of first visits, a column for each week after. */
import { useState } from 'preact/hooks';
import { retention as askRetention, type Cohort } from '../api/kept';
import type { Value } from '../api/types';
import { asUtcDate } from '../model/calendar';
import { NO_NUMBER } from '../words/formats';
import type { BeyondProps } from './index';
import { useAsked } from './asked';
import { heat, shareOf, shareOfAll, weeksOf } from './model/cohorts';
import { RETENTION_WEEKS, retentionAsked } from './model/questions';
import { Answered, Csv, Panel, stateOf, Switch } from './parts/panel';
import { useBeyond, type BeyondWords } from './words';

type Look = 'percent' | 'people';

export function Retention({ view, now, refresh, kept }: BeyondProps) {
  const { t, format } = useBeyond();
  const [weeks, setWeeks] = useState(RETENTION_WEEKS[1] ?? 12);
  const [look, setLook] = useState<Look>('percent');
  // The guard answers the calendar's own periods only: what is chosen above holds.
  const guarded = kept.answer?.guarded === true;
  const question = retentionAsked(view, now, guarded ? null : weeks);
  const wait = kept.state === 'loading' && kept.answer === null;
  const load = useAsked(wait ? null : JSON.stringify(question), refresh, (signal) => askRetention(question, signal));
  return (
    <Panel
      name="retention"
      wide
      state={wait ? 'loading' : stateOf(load)}
      head={
        <>
          {!guarded && (
            <Switch
              label={t('retention.span')}
              value={weeks}
              onValue={setWeeks}
              options={RETENTION_WEEKS.map(
                (each) => [each, t('retention.weeks', { count: each, number: format.number(each) })] as const,
              )}
            />
          )}
          <Switch
            label={t('retention.as')}
            value={look}
            onValue={setLook}
            options={[
              ['percent', t('retention.percent')],
              ['people', t('retention.people')],
            ]}
          />
          <Csv name="retention" title={t('retention.title')} question={question} />
        </>
      }
    >
      <p class="beyond-hint">{t('retention.lead')}</p>
      <Answered load={load}>
        {(answer) =>
          answer.results.length === 0 ? (
            <p class="panel-empty">{t('retention.none')}</p>
          ) : (
            <Cohorts cohorts={answer.results} look={look} />
          )
        }
      </Answered>
    </Panel>
  );
}

function Cohorts({ cohorts, look }: { readonly cohorts: readonly Cohort[]; readonly look: Look }) {
  const words = useBeyond();
  const { t, format, language } = words;
  const columns = Array.from({ length: weeksOf(cohorts) }, (_, index) => index + 1);
  const largest = Math.max(0, ...cohorts.flatMap((each) => columns.map((week) => shareOf(each, week) ?? 0)));
  const day = new Intl.DateTimeFormat(language, { timeZone: 'UTC', day: 'numeric', month: 'short' });
  return (
    <div class="beyond-scroll" tabIndex={0} role="group" aria-labelledby="panel-retention">
      <table class="cohorts" data-cohorts>
        <thead>
          <tr>
            <th scope="col">{t('retention.week')}</th>
            <th scope="col" class="amount">
              {t('retention.new')}
            </th>
            {columns.map((week) => (
              <th
                scope="col"
                key={week}
                aria-label={t('retention.after', { count: week, number: format.number(week) })}
                title={t('retention.after', { count: week, number: format.number(week) })}
              >
                {t('retention.nth', { number: format.number(week) })}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <tr class="cohorts-all">
            <th scope="row">{t('retention.all')}</th>
            <td class="amount">{written(words, sum(cohorts))}</td>
            {columns.map((week) => (
              <Cell key={week} share={shareOfAll(cohorts, week)} largest={largest} text={percent(words, shareOfAll(cohorts, week))} />
            ))}
          </tr>
          {cohorts.map((cohort) => (
            <tr key={cohort.week} data-week={cohort.week} data-value={String(cohort.visitors)}>
              <th scope="row">
                <time dateTime={cohort.week}>{day.format(asUtcDate(cohort.week))}</time>
              </th>
              <td class="amount">{written(words, cohort.visitors)}</td>
              {columns.map((week) => {
                const share = shareOf(cohort, week);
                if (share === undefined) {
                  return (
                    <td key={week} class="cohorts-none">
                      <span class="visually-hidden">{t('retention.to_come')}</span>
                    </td>
                  );
                }
                const people = cohort.returned[week] ?? null;
                return (
                  <Cell
                    key={week}
                    share={share}
                    largest={largest}
                    people={people}
                    text={look === 'percent' ? percent(words, share) : written(words, people)}
                    title={t('retention.cell', { people: written(words, people), all: written(words, cohort.visitors) })}
                  />
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface CellProps {
  readonly share: Value;
  readonly largest: number;
  readonly text: string;
  readonly people?: Value;
  readonly title?: string;
}

function Cell({ share, largest, text, people, title }: CellProps) {
  return (
    <td
      class="cohorts-cell"
      title={title}
      data-value={people === undefined ? undefined : String(people)}
      style={{ '--heat': `${heat(share, largest)}%` }}
    >
      {text}
    </td>
  );
}

function sum(cohorts: readonly Cohort[]): Value {
  const known = cohorts.map((each) => each.visitors).filter((value) => value !== null);
  return known.length === cohorts.length ? known.reduce((all, value) => all + value, 0) : null;
}

function written({ format }: BeyondWords, value: Value): string {
  return value === null ? NO_NUMBER : format.number(value);
}

function percent({ language }: BeyondWords, share: Value): string {
  if (share === null) return NO_NUMBER;
  const digits = share > 0 && share < 0.1 ? 1 : 0;
  return new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: digits }).format(share);
}
