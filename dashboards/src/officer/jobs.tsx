/**
 * The jobs on one person: find, export, block, unblock, rectify, withdraw
 * marketing, opt out, erase. From a request they are about its subjects; without
 * one, who is meant is typed each time and forgotten after.
 */
import { useState } from 'preact/hooks';
import {
  doJob,
  MAX_PURPOSE_BYTES,
  type Asked,
  type Outcome,
  type Request,
} from '../api/officer';
import { EraseDialog } from './erase';
import { askedOf, bytes, JOB_NAMES, typedOf, type JobName, type WhoWay } from './model/forms';
import { CLEARED_FIELDS, RECTIFIED_FIELDS } from './model/fields';
import { firstSite, useOfficeHere, zoneOf } from './office';
import { useDeed } from './parts/deed';
import { fileMoment, saveFile } from './parts/file';
import { Choice, Form, forgetSecrets, Radios, Text } from './parts/form';
import { Card } from './parts/shown';
import { WhoFields } from './parts/who';
import { JobResult, type Done } from './result';
import { useOffice } from './words';

/** The longest value that a field is given. */
const MAX_FIELD_BYTES = 256;

/** An erasure that waits for its confirmation. */
interface Erasing {
  readonly asked: Asked;
  readonly found: Outcome;
  readonly form: HTMLFormElement;
}

interface Props {
  /** The request that the jobs are for; null for a person without one. */
  readonly request: Request | null;
  readonly onDone?: () => void;
}

export function Jobs({ request, onDone }: Props) {
  const words = useOffice();
  const { t, find } = words;
  const office = useOfficeHere();
  const deed = useDeed(words);
  const [job, setJob] = useState<JobName>('find');
  const [field, setField] = useState<string>(RECTIFIED_FIELDS[0]);
  const [site, setSite] = useState(request?.site ?? firstSite(office));
  const [done, setDone] = useState<Done | null>(null);
  const [erasing, setErasing] = useState<Erasing | null>(null);
  const zone = request?.zone ?? zoneOf(office, site);

  const known = request !== null && request.subjects.length > 0;
  const ways: readonly WhoWay[] = known ? ['request', 'cookie', 'user', 'address'] : ['cookie', 'user', 'address'];

  const finish = (form: HTMLFormElement, what: Done) => {
    forgetSecrets(form);
    setDone(what);
    onDone?.();
  };

  const submit = (form: HTMLFormElement) =>
    void deed.run(async () => {
      setDone(null);
      const asked = askedOf(typedOf(form), zone, request?.number);
      if (asked.job === 'erase') {
        // What an erasure would destroy is counted first, and said before it is confirmed.
        const found = await doJob({ ...asked, job: 'find' });
        setErasing({ asked, found, form });
        return;
      }
      const outcome = await doJob(asked);
      if (typeof asked.job === 'object' && 'export' in asked.job) {
        const name = `${request?.number ?? site}-${fileMoment(new Date())}`;
        saveFile(name, asked.job.export, outcome.text ?? '');
      }
      finish(form, { job, outcome });
    });

  return (
    <Card title={t('jobs.title')} name="jobs">
      <p class="office-lead">{t(request ? 'jobs.lead_request' : 'jobs.lead_person')}</p>
      <Form
        name="job"
        deed={deed}
        submit={t(job === 'erase' ? 'jobs.count_first' : `jobs.do_${job}`)}
        danger={job === 'erase'}
        onSubmit={submit}
      >
        {request ? (
          <input type="hidden" name="site" value={site} />
        ) : (
          <Choice
            name="site"
            label={t('site.label')}
            required
            value={site}
            options={office.sites.map((each) => [each.id, each.id] as const)}
            onValue={setSite}
          />
        )}
        <WhoFields ways={ways} zone={zone} />
        <Radios
          name="job"
          label={t('jobs.what')}
          options={JOB_NAMES.map((each) => [each, t(`job.${each}`), t(`job.${each}_about`)] as const)}
          value={job}
          onValue={(value) => {
            setJob(value as JobName);
            deed.forget();
          }}
        />
        {job === 'export' && (
          <Choice
            name="format"
            label={t('jobs.format')}
            required
            value="html"
            options={(['html', 'json', 'csv'] as const).map((each) => [each, t(`format.${each}`)] as const)}
          />
        )}
        {job === 'rectify' && (
          <>
            <Choice
              name="field"
              label={t('jobs.field')}
              required
              value={field}
              options={RECTIFIED_FIELDS.map((each) => [each, find(`field.${each}`) ?? each] as const)}
              onValue={setField}
            />
            {field === 'props' && <Text name="property" label={t('jobs.property')} required most={MAX_FIELD_BYTES} />}
            <Text name="value" label={t('jobs.value')} hint={t(valueHint(field))} most={MAX_FIELD_BYTES} secret />
            <Text name="rectify_from" type="datetime-local" label={t('jobs.from')} />
            <Text name="rectify_to" type="datetime-local" label={t('jobs.to')} hint={t('form.zone', { zone })} />
          </>
        )}
        <Text
          name="purpose"
          label={t('jobs.purpose')}
          hint={t('jobs.purpose_hint')}
          value={purposeOf(request, (number) => t('jobs.purpose_request', { number }))}
          required
          most={MAX_PURPOSE_BYTES}
          wide
        />
      </Form>
      <div aria-live="polite" data-result={done ? done.job : undefined}>
        {done && <JobResult done={done} zone={zone} />}
      </div>
      {erasing && (
        <EraseDialog
          asked={erasing.asked}
          found={erasing.found}
          onClose={() => setErasing(null)}
          onErased={(outcome) => {
            setErasing(null);
            finish(erasing.form, { job: 'erase', outcome });
          }}
        />
      )}
    </Card>
  );
}

/** What the value of a field may be. */
function valueHint(field: string) {
  if (CLEARED_FIELDS.includes(field)) return 'jobs.value_none' as const;
  if (field === 'country') return 'jobs.value_country' as const;
  return field === 'device' ? ('jobs.value_device' as const) : ('jobs.value_hint' as const);
}

/** What stands in the purpose at first: the request's own, if the trail takes it. */
function purposeOf(request: Request | null, named: (number: string) => string): string {
  if (!request) return '';
  const own = request.purpose.replace(/\s+/g, ' ').trim();
  return own !== '' && bytes(own) <= MAX_PURPOSE_BYTES ? own : named(request.number);
}
