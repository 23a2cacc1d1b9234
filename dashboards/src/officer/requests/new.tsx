/** Registers a request: what is asked, by whom, and when it came. */
import { useState } from 'preact/hooks';
import { addRequest, MAX_ANSWER_BYTES, REQUEST_KINDS } from '../../api/officer';
import { newRequestOf, typedOf } from '../model/forms';
import { writePlace } from '../model/place';
import { firstSite, useOfficeHere, zoneOf } from '../office';
import { useDeed } from '../parts/deed';
import { Area, Choice, Form, forgetSecrets, Text } from '../parts/form';
import { Card } from '../parts/shown';
import { WhoFields } from '../parts/who';
import { useOffice } from '../words';

export function NewRequestForm() {
  const words = useOffice();
  const { t } = words;
  const office = useOfficeHere();
  const deed = useDeed(words);
  const [site, setSite] = useState(firstSite(office));
  const [kind, setKind] = useState<string>('access');
  const zone = zoneOf(office, site);
  const kinds = REQUEST_KINDS.map((each) => [each, t(`kind.${each}`)] as const);
  return (
    <Card title={t('new.title')} name="new-request">
      <p class="office-lead">{t('new.lead')}</p>
      <Form
        name="request"
        deed={deed}
        submit={t('new.submit')}
        onSubmit={(form) =>
          void deed.run(async () => {
            const added = await addRequest(newRequestOf(typedOf(form), zone));
            forgetSecrets(form);
            location.hash = writePlace('requests', added.number);
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
        <Choice name="kind" label={t('requests.kind')} required value={kind} options={kinds} onValue={setKind} />
        {kind === 'claim' && (
          <Choice
            name="about"
            label={t('new.about')}
            options={[['', t('new.about_nothing')] as const, ...kinds.filter(([each]) => each !== 'claim')]}
          />
        )}
        <Text
          name="received"
          type="datetime-local"
          label={t('new.received')}
          hint={t('new.received_hint', { zone })}
        />
        <WhoFields ways={['cookie', 'user', 'address', 'nobody']} zone={zone} />
        <Area
          name="purpose"
          label={t('new.purpose')}
          hint={t('new.purpose_hint')}
          most={MAX_ANSWER_BYTES}
          rows={3}
          wide
        />
      </Form>
    </Card>
  );
}
