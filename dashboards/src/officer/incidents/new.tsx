/** Registers an incident: what happened, when, and when it was found out. The clocks start with that. */
import { useState } from 'preact/hooks';
import { addIncident, INCIDENT_KINDS, MAX_ANSWER_BYTES } from '../../api/officer';
import { incidentOf, typedOf } from '../model/forms';
import { writePlace } from '../model/place';
import { firstSite, useOfficeHere, zoneOf } from '../office';
import { useDeed } from '../parts/deed';
import { Area, Choice, Form, Text } from '../parts/form';
import { Card } from '../parts/shown';
import { useOffice } from '../words';

export function NewIncidentForm() {
  const words = useOffice();
  const { t } = words;
  const office = useOfficeHere();
  const deed = useDeed(words);
  const [site, setSite] = useState(firstSite(office));
  const zone = zoneOf(office, site);
  return (
    <Card title={t('incident.new_title')} name="new-incident">
      <p class="office-lead">{t('incident.new_lead')}</p>
      <Form
        name="incident"
        deed={deed}
        submit={t('incident.submit')}
        onSubmit={(form) =>
          void deed.run(async () => {
            const added = await addIncident(incidentOf(typedOf(form), zone));
            location.hash = writePlace('incidents', added.number);
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
          name="kind"
          label={t('incidents.kind')}
          required
          options={INCIDENT_KINDS.map((each) => [each, t(`incident.${each}`)] as const)}
        />
        <Text name="from" type="datetime-local" label={t('incident.from')} required />
        <Text name="to" type="datetime-local" label={t('incident.to')} hint={t('form.zone', { zone })} required />
        <Text
          name="detected"
          type="datetime-local"
          label={t('incidents.detected')}
          hint={t('incident.detected_hint')}
        />
        <Area
          name="what"
          label={t('incident.what')}
          hint={t('incident.what_hint')}
          required
          most={MAX_ANSWER_BYTES}
          rows={3}
          wide
        />
      </Form>
    </Card>
  );
}
