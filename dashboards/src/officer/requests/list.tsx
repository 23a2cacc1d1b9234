/** The register as a list, with the terms that it counts. */
import { useState } from 'preact/hooks';
import { REQUEST_KINDS, REQUEST_STATES, requests, type Attention, type Due, type Request } from '../../api/officer';
import { byUrgency, urgencyOf, type Urgency } from '../model/due';
import { writePlace } from '../model/place';
import { useOfficeHere } from '../office';
import { useLoaded } from '../parts/load';
import { Region } from '../parts/region';
import { State, type Tone } from '../parts/shown';
import { useOffice } from '../words';

const TONES: Readonly<Record<Urgency, Tone>> = {
  overdue: 'bad',
  soon: 'warn',
  open: 'plain',
  done: 'good',
  refused: 'plain',
};

export function RequestList() {
  const { t } = useOffice();
  const { chosen } = useOfficeHere();
  const [state, setState] = useState('open');
  const [kind, setKind] = useState('');
  const [overdue, setOverdue] = useState(false);
  const filter = { site_id: chosen, state, kind, overdue };
  const load = useLoaded(JSON.stringify(filter), (signal) => requests(filter, signal));
  return (
    <>
      <div class="office-bar">
        <label class="bar-field">
          <span>{t('requests.state')}</span>
          <select name="state" value={state} onChange={(event) => setState(event.currentTarget.value)}>
            <option value="">{t('requests.any_state')}</option>
            {REQUEST_STATES.map((each) => (
              <option key={each} value={each}>
                {t(`state.${each}`)}
              </option>
            ))}
          </select>
        </label>
        <label class="bar-field">
          <span>{t('requests.kind')}</span>
          <select name="kind" value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
            <option value="">{t('requests.any_kind')}</option>
            {REQUEST_KINDS.map((each) => (
              <option key={each} value={each}>
                {t(`kind.${each}`)}
              </option>
            ))}
          </select>
        </label>
        <label class="tick bar-tick">
          <input
            type="checkbox"
            name="overdue"
            checked={overdue}
            onChange={(event) => setOverdue(event.currentTarget.checked)}
          />
          <span>{t('requests.only_overdue')}</span>
        </label>
        <span class="spring" />
        <a class="button primary" href={writePlace('requests', 'new')} data-new-request>
          {t('requests.new')}
        </a>
        <a class="button" href={writePlace('requests', 'person')} data-person>
          {t('requests.person')}
        </a>
      </div>
      <Region
        name="requests"
        load={load}
        empty={t('requests.empty')}
        isEmpty={(answer) => answer.requests.length === 0}
      >
        {({ requests: found, attention }) => <Table requests={byUrgency(found)} attention={attention} />}
      </Region>
    </>
  );
}

interface TableProps {
  readonly requests: readonly Request[];
  readonly attention: Attention;
}

function Table({ requests: rows, attention }: TableProps) {
  const { t, moment, format } = useOffice();
  return (
    <div class="card sheet-card">
      <table class="sheet">
        <caption class="visually-hidden" aria-live="polite">
          {t('requests.count', { count: rows.length, number: format.number(rows.length) })}
        </caption>
        <thead>
          <tr>
            <th scope="col">{t('requests.number')}</th>
            <th scope="col">{t('requests.kind')}</th>
            <th scope="col">{t('site.label')}</th>
            <th scope="col">{t('requests.received')}</th>
            <th scope="col">{t('requests.due')}</th>
            <th scope="col">{t('requests.state')}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((request) => (
            <tr key={request.number} data-request={request.number}>
              <th scope="row">
                <a href={writePlace('requests', request.number)}>{request.number}</a>
              </th>
              <td data-label={t('requests.kind')}>
                {t(`kind.${request.kind}`)}
                {request.about && (
                  <span class="sheet-more">{t('requests.about', { kind: t(`kind.${request.about}`) })}</span>
                )}
              </td>
              <td data-label={t('site.label')}>{request.site}</td>
              <td data-label={t('requests.received')}>{moment(request.received, request.zone)}</td>
              <td data-label={t('requests.due')}>
                <DueText due={nextDue(request)} />
              </td>
              <td data-label={t('requests.state')}>
                <Urgent request={request} attention={attention} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The term that runs next, or the one that ran. */
export function nextDue(request: Request): Due {
  const step = request.first_step;
  if (request.state === 'open' && step && step.done === null) return step.due;
  return request.extension?.until ?? request.due;
}

export function DueText({ due }: { readonly due: Due }) {
  const { day, law } = useOffice();
  return (
    <span class="due">
      <time dateTime={due.date}>{day(due.date)}</time>
      <span class="sheet-more">
        {law(due.term)}, {law(due.article)}
      </span>
    </span>
  );
}

export function Urgent({ request, attention }: { readonly request: Request; readonly attention: Attention | null }) {
  const { t } = useOffice();
  const urgency = urgencyOf(request, attention);
  return (
    <span data-urgency={urgency}>
      <State tone={TONES[urgency]} text={t(`urgency.${urgency}`)} />
    </span>
  );
}
