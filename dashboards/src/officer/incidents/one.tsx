/** One incident: its clocks, whom it touched, what they are told, how it ended. */
import { useState } from 'preact/hooks';
import { changeIncident, MAX_ANSWER_BYTES, oneIncident, type Incident } from '../../api/officer';
import { FormProblem, typedOf } from '../model/forms';
import { useOfficeHere, zoneOf } from '../office';
import { useDeed } from '../parts/deed';
import { Copy } from '../parts/file';
import { Area, Form } from '../parts/form';
import { useLoaded } from '../parts/load';
import { Region } from '../parts/region';
import { Card, Facts, History, State } from '../parts/shown';
import { useOffice } from '../words';
import { Clocks } from './clocks';
import { Match } from './match';

const NOTICE_LANGUAGES = [
  ['ru', 'Русский'],
  ['en', 'English'],
] as const;

export function OneIncident({ number }: { readonly number: string }) {
  const load = useLoaded(number, (signal) => oneIncident(number, signal));
  return (
    <Region name="incident" load={load}>
      {(incident) => <Shown incident={incident} onChanged={load.put} />}
    </Region>
  );
}

interface Props {
  readonly incident: Incident;
  readonly onChanged: (incident: Incident) => void;
}

function Shown({ incident, onChanged }: Props) {
  const words = useOffice();
  const { t, moment, law } = words;
  const office = useOfficeHere();
  const steps = useDeed(words);
  const zone = zoneOf(office, incident.site);
  const open = incident.state === 'open';
  return (
    <div class="office-stack" data-incident={incident.number} data-incident-state={incident.state}>
      <Card
        title={t('incident.title', { number: incident.number, kind: t(`incident.${incident.kind}`) })}
        name="incident"
        action={<State tone={open ? 'warn' : 'good'} text={t(`incident_state.${incident.state}`)} />}
      >
        <Facts
          facts={[
            [t('incidents.kind'), incident.what],
            [t('site.label'), incident.site],
            [
              t('incident.range'),
              t('disclosures.range_of', { from: moment(incident.from, zone), to: moment(incident.to, zone) }),
            ],
            [t('incidents.detected'), moment(incident.detected, zone)],
            [t('incident.registered'), moment(incident.registered, zone)],
            [t('incident.who'), law(incident.who)],
            [t('incident.result'), incident.result === '' ? null : <span class="written">{incident.result}</span>],
          ]}
        />
      </Card>
      <Card title={t('incident.clocks')} name="clocks">
        <Clocks
          incident={incident}
          zone={zone}
          busy={steps.busy}
          onStep={(step) =>
            void steps.run(async () => onChanged(await changeIncident(incident.number, { done: step })))
          }
        />
        <p class="form-problem" role="alert">
          {steps.problem}
        </p>
      </Card>
      <Affected incident={incident} zone={zone} />
      <Notice incident={incident} />
      <Match number={incident.number} />
      {open && <Close incident={incident} onChanged={onChanged} />}
      <Card title={t('one.history')} name="history">
        <History history={incident.history} zone={zone} />
      </Card>
    </div>
  );
}

function Affected({ incident: { affected }, zone }: { readonly incident: Incident; readonly zone: string }) {
  const { t, format, moment, language } = useOffice();
  const counts = ['visitors', 'rows', 'cookies', 'user_keys', 'addresses'] as const;
  return (
    <Card title={t('incident.affected')} name="affected">
      <ul class="counts">
        {counts.map((each) => (
          <li key={each} data-count={each} data-value={affected[each]}>
            <b>{format.number(affected[each])}</b>
            <span>{t(`affected.${each}`)}</span>
          </li>
        ))}
      </ul>
      {affected.first !== null && affected.last !== null && (
        <p class="office-lead">
          {t('disclosures.range_of', { from: moment(affected.first, zone), to: moment(affected.last, zone) })}
        </p>
      )}
      {affected.kinds.length > 0 && (
        <table class="sheet small">
          <caption>{t('incident.kinds')}</caption>
          <thead>
            <tr>
              <th scope="col">{t('incident.category')}</th>
              <th scope="col" class="amount">
                {t('result.rows')}
              </th>
            </tr>
          </thead>
          <tbody>
            {affected.kinds.map((kind) => (
              <tr key={kind.name}>
                <td>{kind[language]}</td>
                <td class="amount" data-label={t('result.rows')}>
                  {format.number(kind.rows)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

/** What the people concerned are told, in both languages, whatever the page speaks. */
function Notice({ incident: { notice, advice } }: { readonly incident: Incident }) {
  const { t, language } = useOffice();
  const [shown, setShown] = useState<'ru' | 'en'>(language);
  return (
    <Card
      title={t('incident.notice')}
      name="notice"
      action={
        <div class="segments small" role="group" aria-label={t('app.language')}>
          {NOTICE_LANGUAGES.map(([each, name]) => (
            <button
              key={each}
              type="button"
              lang={each}
              data-notice={each}
              aria-pressed={each === shown}
              onClick={() => setShown(each)}
            >
              {name}
            </button>
          ))}
        </div>
      }
    >
      <pre class="notice-text" lang={shown} tabIndex={0}>
        {notice[shown]}
      </pre>
      <Copy text={notice[shown]} name={t('incident.notice')} />
      {advice[shown] !== '' && (
        <>
          <h3>{t('incident.advice')}</h3>
          <p class="written" lang={shown}>
            {advice[shown]}
          </p>
        </>
      )}
    </Card>
  );
}

function Close({ incident, onChanged }: Props) {
  const words = useOffice();
  const { t } = words;
  const deed = useDeed(words);
  return (
    <Card title={t('incident.close')} name="close">
      <Form
        name="close-incident"
        deed={deed}
        submit={t('incident.close_submit')}
        onSubmit={(form) =>
          void deed.run(async () => {
            const result = (typedOf(form)['result'] ?? '').trim();
            if (result === '') throw new FormProblem('result', 'form.empty');
            onChanged(await changeIncident(incident.number, { close: { result } }));
          })
        }
      >
        <Area
          name="result"
          label={t('incident.result')}
          hint={t('incident.result_hint')}
          required
          most={MAX_ANSWER_BYTES}
          rows={4}
          wide
        />
      </Form>
    </Card>
  );
}
