/** A funnel: its steps from the top down, and how many leave after each. */
import { useState } from 'preact/hooks';
import { funnel as askFunnel, type FunnelAnswer, type FunnelStep } from '../api/kept';
import type { Value } from '../api/types';
import { Icon } from '../parts/icons';
import { NO_NUMBER } from '../words/formats';
import type { BeyondProps } from './index';
import { useAsked } from './asked';
import { asked } from './model/questions';
import { Answered, Csv, First, Panel, stateOf } from './parts/panel';
import { useBeyond, type BeyondWords } from './words';

export function Funnels({ site, session, view, now, refresh, kept }: BeyondProps) {
  const { t } = useBeyond();
  const [chosen, setChosen] = useState('');
  const funnels = kept.answer?.funnels ?? [];
  const funnel = funnels.find((each) => each.id === chosen) ?? funnels[0];
  const question = funnel ? { ...asked(view, now), funnel: funnel.id } : null;
  // A funnel that was changed is another question.
  const key = question && JSON.stringify([question, funnel]);
  const load = useAsked<FunnelAnswer>(key, refresh, (signal) => askFunnel(question!, signal));

  if (kept.answer !== null && !funnel) {
    const short = kept.answer.goals.length < 2;
    return (
      <Panel name="funnels" state="empty">
        <First
          title={t('funnels.none_title')}
          text={short ? `${t('funnels.none_text')} ${t('funnels.no_goals')}` : t('funnels.none_text')}
          action={t(short ? 'goals.first' : 'funnels.first')}
          section={short ? 'goals' : 'funnels'}
          site={site.id}
          session={session}
        />
      </Panel>
    );
  }
  const failed = kept.state === 'failed';
  return (
    <Panel
      name="funnels"
      state={failed ? 'failed' : kept.answer === null ? 'loading' : stateOf(load)}
      head={
        <>
          {funnels.length > 1 && funnel && (
            <label class="beyond-select">
              <span class="visually-hidden">{t('funnels.choose')}</span>
              <select
                value={funnel.id}
                data-funnel-choice
                onChange={(event) => setChosen(event.currentTarget.value)}
              >
                {funnels.map((each) => (
                  <option key={each.id} value={each.id} selected={each.id === funnel.id}>
                    {each.name}
                  </option>
                ))}
              </select>
              <Icon name="down" />
            </label>
          )}
          {question && <Csv name="funnel" title={t('funnels.title')} question={question} />}
        </>
      }
    >
      <Answered load={failed ? { ...load, state: 'failed', error: kept.error, again: kept.again } : load}>
        {(answer) => (
          <>
            {funnels.length === 1 && <p class="beyond-name">{funnel?.name}</p>}
            {answer.results.length === 0 ? (
              <p class="panel-empty">{t('beyond.no_numbers')}</p>
            ) : (
              <Steps steps={answer.results} />
            )}
          </>
        )}
      </Answered>
    </Panel>
  );
}

function Steps({ steps }: { readonly steps: readonly FunnelStep[] }) {
  const words = useBeyond();
  const { t } = words;
  const last = steps.at(-1);
  return (
    <>
      <ol class="funnel" data-funnel>
        {steps.map((step, index) => (
          <li key={index} data-step={step.goal} data-value={String(step.visitors)}>
            <div class="funnel-line">
              <span class="funnel-number" aria-hidden="true">
                {index + 1}
              </span>
              <span class="funnel-goal">{step.goal}</span>
              {step.visitors === null ? (
                <span class="funnel-visitors funnel-withheld">{t('funnels.withheld')}</span>
              ) : (
                <span class="funnel-visitors">{counted(words, 'funnels.visitors', step.visitors)}</span>
              )}
            </div>
            <div class="funnel-bar" aria-hidden="true">
              <span style={{ '--share': barOf(step) }} />
            </div>
            {index > 0 && step.from_previous !== null && (
              <p class="funnel-shares">
                <span data-from-previous={String(step.from_previous)}>
                  {t('funnels.from_previous', { share: share(words, step.from_previous) })}
                </span>
                {index > 1 && step.from_first !== null && (
                  <span data-from-first={String(step.from_first)}>
                    {t('funnels.from_first', { share: share(words, step.from_first) })}
                  </span>
                )}
              </p>
            )}
            {dropAfter(steps, index) !== 0 && (
              <p class="funnel-drop" data-dropped={String(dropAfter(steps, index))}>
                <Icon name="fall" />
                {counted(words, 'funnels.dropped', dropAfter(steps, index))}
              </p>
            )}
          </li>
        ))}
      </ol>
      {last && last.from_first !== null && steps.length > 1 && (
        <p class="funnel-whole">{t('funnels.whole', { share: share(words, last.from_first) })}</p>
      )}
    </>
  );
}

/** How many of a step did not reach the next, 0 where that is withheld: rounded numbers are subtracted by the server alone. */
function dropAfter(steps: readonly FunnelStep[], index: number): number {
  return steps[index + 1]?.dropped ?? 0;
}

/** What was reached at all is seen; what is withheld is not. */
function barOf({ from_first }: FunnelStep): string {
  return from_first ? `max(${from_first}%, 3px)` : '0%';
}

function counted({ t, format }: BeyondWords, key: 'funnels.visitors' | 'funnels.dropped', value: number): string {
  return t(key, { count: value, number: format.number(value) });
}

function share({ language }: BeyondWords, percent: Value): string {
  if (percent === null) return NO_NUMBER;
  return new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 }).format(percent / 100);
}
