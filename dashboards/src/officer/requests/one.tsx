/** One request: its terms, what was done, and what can be done next. */
import { actAddress, oneRequest, type Request } from '../../api/officer';
import { Jobs } from '../jobs';
import { useLoaded } from '../parts/load';
import { Region } from '../parts/region';
import { Card, Facts, History, Subjects, type Fact } from '../parts/shown';
import { useOffice, type OfficeWords } from '../words';
import { DueText, Urgent } from './list';
import { Steps } from './steps';

export function OneRequest({ number }: { readonly number: string }) {
  const load = useLoaded(number, (signal) => oneRequest(number, signal));
  return (
    <Region name="request" load={load}>
      {(request) => <Shown request={request} onChanged={load.put} onJob={load.again} />}
    </Region>
  );
}

interface Props {
  readonly request: Request;
  readonly onChanged: (request: Request) => void;
  readonly onJob: () => void;
}

function Shown({ request, onChanged, onJob }: Props) {
  const words = useOffice();
  const { t } = words;
  const open = request.state === 'open';
  return (
    <div class="office-stack" data-request={request.number} data-request-state={request.state}>
      <Card
        title={t('one.title', { number: request.number, kind: t(`kind.${request.kind}`) })}
        name="request"
        action={<Urgent request={request} attention={null} />}
      >
        <Facts facts={facts(words, request)} />
      </Card>
      {open && <Steps request={request} onChanged={onChanged} />}
      <Jobs request={request} onDone={onJob} />
      {request.acts.length > 0 && (
        <Card title={t('one.acts')} name="acts">
          <ul class="acts">
            {request.acts.map((name) => (
              <li key={name}>
                <a href={actAddress(name)} target="_blank" rel="noopener" data-act={name}>
                  {name}
                </a>
              </li>
            ))}
          </ul>
        </Card>
      )}
      <Card title={t('one.history')} name="history">
        <History history={request.history} zone={request.zone} />
      </Card>
    </div>
  );
}

function facts(words: OfficeWords, request: Request): readonly Fact[] {
  const { t, moment, law } = words;
  const { due, extension, first_step: step, zone } = request;
  return [
    [t('site.label'), request.site],
    [t('one.about'), request.about && t(`kind.${request.about}`)],
    [t('requests.received'), moment(request.received, zone)],
    [t('one.law'), t(`law.${request.law}`)],
    [
      step ? t('one.first_step') : '',
      step && (
        <>
          <DueText due={step.due} />
          <span class="sheet-more">{step.done === null ? t('one.step_open') : moment(step.done, zone)}</span>
        </>
      ),
    ],
    [t('one.due'), <DueText due={due} />],
    [t('one.counted_by'), law(due.counted_by)],
    [
      t('one.extended'),
      extension && (
        <>
          <DueText due={extension.until} />
          <span class="sheet-more">{extension.reason}</span>
        </>
      ),
    ],
    [t('one.calendar'), request.calendar_known ? null : t(`holidays.${(extension?.until ?? due).holidays}`)],
    [t('one.identified'), t(`identified.${request.identified}`)],
    [t('one.subjects'), <Subjects subjects={request.subjects} />],
    [t('one.purpose'), <span class="written">{request.purpose}</span>],
    [t('one.answer'), request.answer === '' ? null : <span class="written">{request.answer}</span>],
    [t('one.closed'), request.closed === null ? null : moment(request.closed, zone)],
  ];
}
