/** Makes a disclosure: it is in the log before the file is handed out. */
import { useState } from 'preact/hooks';
import { disclose, MAX_DISCLOSURE_BYTES, RECIPIENT_KINDS, type Disclosure } from '../../api/officer';
import { DISCLOSED_FIELDS, IDENTIFYING_FIELDS, mayIdentify, USUAL_FIELDS } from '../model/fields';
import { disclosureOf, typedOf, type WhoWay } from '../model/forms';
import { writePlace } from '../model/place';
import { firstSite, useOfficeHere, zoneOf } from '../office';
import { useDeed } from '../parts/deed';
import { saveFile, type FileFormat } from '../parts/file';
import { Choice, Form, forgetSecrets, Radios, Text, Tick } from '../parts/form';
import { Card } from '../parts/shown';
import { WhoFields } from '../parts/who';
import { useOffice } from '../words';

/** `2026-0001` and a little more. */
const MAX_NUMBER = 16;

const WAYS: readonly WhoWay[] = ['request', 'cookie', 'user', 'address'];

export function NewDisclosureForm() {
  const words = useOffice();
  const { t, find, format } = words;
  const office = useOfficeHere();
  const deed = useDeed(words);
  const [site, setSite] = useState(firstSite(office));
  const [recipient, setRecipient] = useState<string>(RECIPIENT_KINDS[0]);
  const [scope, setScope] = useState('person');
  const [way, setWay] = useState<WhoWay>('request');
  const [made, setMade] = useState<Disclosure | null>(null);
  const zone = zoneOf(office, site);
  return (
    <Card title={t('disclose.title')} name="new-disclosure">
      <p class="office-lead">{t('disclose.lead')}</p>
      <Form
        name="disclosure"
        deed={deed}
        submit={t('disclose.submit')}
        onSubmit={(form) =>
          void deed.run(async () => {
            setMade(null);
            const { disclosure, text } = await disclose(disclosureOf(typedOf(form), zone));
            saveFile(disclosure.number, disclosure.format as FileFormat, text);
            forgetSecrets(form);
            setMade(disclosure);
          })
        }
      >
        <Choice
          name="site"
          label={t('site.label')}
          required
          value={site}
          options={office.sites.map((each) => [each.id, each.id] as const)}
          onValue={setSite}
        />
        <Choice
          name="recipient_kind"
          label={t('disclosures.recipient_kind')}
          required
          value={recipient}
          options={RECIPIENT_KINDS.map((each) => [each, t(`recipient.${each}`)] as const)}
          onValue={setRecipient}
        />
        <Text
          name="recipient"
          label={t('disclosures.recipient')}
          hint={t('disclose.recipient_hint')}
          required
          most={MAX_DISCLOSURE_BYTES}
          wide
        />
        <Text
          name="basis"
          label={t('disclosures.basis')}
          hint={t('disclose.basis_hint')}
          required
          most={MAX_DISCLOSURE_BYTES}
          wide
        />
        <Text name="purpose" label={t('disclosures.purpose')} required most={MAX_DISCLOSURE_BYTES} wide />
        <Radios
          name="scope"
          label={t('disclosures.scope')}
          options={[
            ['person', t('disclose.person')],
            ['range', t('disclose.range')],
          ]}
          value={scope}
          onValue={(value) => {
            setScope(value);
            setWay('request');
          }}
        />
        {scope === 'person' ? (
          <WhoFields ways={WAYS} zone={zone} onWay={setWay} />
        ) : (
          <>
            <Text name="range_from" type="datetime-local" label={t('who.from')} required />
            <Text name="range_to" type="datetime-local" label={t('who.to')} hint={t('form.zone', { zone })} required />
            <fieldset class="ticks field-wide">
              <legend>{t('disclosures.fields')}</legend>
              {[...DISCLOSED_FIELDS, ...(mayIdentify(recipient) ? IDENTIFYING_FIELDS : [])].map((each) => (
                <Tick
                  key={each}
                  name="fields"
                  value={each}
                  label={find(`field.${each}`) ?? each}
                  checked={USUAL_FIELDS.includes(each)}
                />
              ))}
            </fieldset>
          </>
        )}
        <Text
          name="request"
          label={t('disclosures.request')}
          hint={t('disclose.request_hint')}
          required={scope === 'person' && way === 'request'}
          most={MAX_NUMBER}
        />
        <Choice
          name="format"
          label={t('jobs.format')}
          required
          options={(['json', 'csv'] as const).map((each) => [each, t(`format.${each}`)] as const)}
        />
      </Form>
      <div aria-live="polite" data-result={made ? 'disclosure' : undefined}>
        {made && (
          <p class="verdict" data-good="true" data-disclosure={made.number}>
            {t('disclose.done', {
              number: made.number,
              rows: t('erase.rows', { count: made.rows, number: format.number(made.rows) }),
            })}{' '}
            <a href={writePlace('disclosures')}>{t('disclose.to_log')}</a>
          </p>
        )}
      </div>
    </Card>
  );
}
