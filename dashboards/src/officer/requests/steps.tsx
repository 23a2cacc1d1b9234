/** What moves a request on: a longer term, the stop of processing, its end with an answer. */
import { useState } from 'preact/hooks';
import { changeRequest, MAX_ANSWER_BYTES, type Request, type RequestChange } from '../../api/officer';
import { FormProblem, typedOf } from '../model/forms';
import { useDeed } from '../parts/deed';
import { Area, Form, Radios, Text } from '../parts/form';
import { Card } from '../parts/shown';
import { useOffice } from '../words';

type Step = 'close' | 'extend' | 'stopped';

interface Props {
  readonly request: Request;
  readonly onChanged: (request: Request) => void;
}

export function Steps({ request, onChanged }: Props) {
  const words = useOffice();
  const { t } = words;
  const deed = useDeed(words);
  const [step, setStep] = useState<Step | null>(null);
  const [outcome, setOutcome] = useState('done');
  const steps: Step[] = ['close'];
  if (request.extension === null && mayExtend(request)) steps.push('extend');
  if (request.first_step && request.first_step.done === null) steps.push('stopped');

  const change = (make: (typed: Readonly<Record<string, string>>) => RequestChange) => (form: HTMLFormElement) =>
    void deed.run(async () => {
      onChanged(await changeRequest(request.number, make(typedOf(form))));
      setStep(null);
    });
  const text = (typed: Readonly<Record<string, string>>, field: string): string => {
    const said = (typed[field] ?? '').trim();
    if (said === '') throw new FormProblem(field, 'form.empty');
    return said;
  };

  return (
    <Card title={t('steps.title')} name="steps">
      <div class="step-buttons">
        {steps.map((each) => (
          <button
            key={each}
            type="button"
            class="button"
            data-step={each}
            aria-expanded={step === each}
            onClick={() => {
              deed.forget();
              setStep(step === each ? null : each);
            }}
          >
            {t(`steps.${each}`)}
          </button>
        ))}
      </div>
      {step === 'close' && (
        <Form
          name="close"
          deed={deed}
          submit={t('steps.close_submit')}
          onSubmit={change((typed) => ({
            close: { answer: text(typed, 'answer'), refused: typed['outcome'] === 'refused' },
          }))}
        >
          <Radios
            name="outcome"
            label={t('steps.outcome')}
            options={[
              ['done', t('state.done')],
              ['refused', t('state.refused')],
            ]}
            value={outcome}
            onValue={setOutcome}
          />
          <Area
            name="answer"
            label={t('steps.answer')}
            hint={t('steps.answer_hint')}
            required
            most={MAX_ANSWER_BYTES}
            rows={5}
            wide
          />
        </Form>
      )}
      {step === 'extend' && (
        <Form
          name="extend"
          deed={deed}
          submit={t('steps.extend_submit')}
          onSubmit={change((typed) => {
            const days = (typed['days'] ?? '').trim();
            return { extend: { reason: text(typed, 'reason'), ...(days === '' ? {} : { days: Number(days) }) } };
          })}
        >
          <Area name="reason" label={t('steps.reason')} required most={MAX_ANSWER_BYTES} rows={3} wide />
          <Text name="days" type="number" min="1" max="3650" label={t('steps.days')} hint={t('steps.days_hint')} />
        </Form>
      )}
      {step === 'stopped' && (
        <Form
          name="stopped"
          deed={deed}
          submit={t('steps.stopped_submit')}
          onSubmit={change(() => ({ stopped: true }))}
        >
          <p class="office-lead field-wide">{t('steps.stopped_lead')}</p>
        </Form>
      )}
    </Card>
  );
}

/** The law gives a longer term for an answer about what is held, the GDPR for every request of its own. */
function mayExtend({ law, kind }: Request): boolean {
  return law === 'gdpr' ? kind !== 'claim' : kind === 'access';
}
