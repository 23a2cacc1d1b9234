/** What came of a job, in words and numbers. */
import { actAddress, type Outcome } from '../api/officer';
import type { JobName } from './model/forms';
import { Facts, State, Subjects, type Fact } from './parts/shown';
import { useOffice } from './words';

export interface Done {
  readonly job: JobName;
  readonly outcome: Outcome;
}

export function JobResult({ done: { job, outcome }, zone }: { readonly done: Done; readonly zone: string }) {
  const { t, format, moment, law } = useOffice();
  const number = (count: number) => <span data-value={count}>{format.number(count)}</span>;
  const facts: Fact[] = [
    [t('result.rows'), <span data-result-rows={outcome.rows}>{number(outcome.rows)}</span>],
    [t('result.changed'), outcome.changed === undefined ? null : number(outcome.changed)],
    [t('result.first'), outcome.first ? moment(outcome.first, zone) : null],
    [t('result.last'), outcome.last ? moment(outcome.last, zone) : null],
    [t('result.subjects'), outcome.subjects ? <Subjects subjects={outcome.subjects} /> : null],
    [
      t('result.blocked'),
      outcome.blocked === undefined ? null : (
        <span data-blocked={outcome.blocked}>
          <State
            tone={outcome.blocked ? 'warn' : 'plain'}
            text={t(outcome.blocked ? 'result.is_blocked' : 'result.not_blocked')}
          />
        </span>
      ),
    ],
    [
      t('result.act'),
      outcome.act ? (
        <a href={actAddress(outcome.act.number)} target="_blank" rel="noopener" data-act={outcome.act.number}>
          {outcome.act.number}
        </a>
      ) : null,
    ],
  ];
  return (
    <div class="job-result" data-state="ready">
      <p class="verdict" data-good={outcome.rows > 0 || job === 'opt_out'}>
        {t(outcome.accepted ? 'result.accepted' : `result.done_${job}`)}
      </p>
      <Facts facts={facts} />
      {outcome.notes?.map((note) => (
        <p class="office-note" key={note}>
          {law(note)}
        </p>
      ))}
    </div>
  );
}
