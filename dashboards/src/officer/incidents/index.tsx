/** Incidents: the list, one of them, a new one. */
import { incidents, type Incident } from '../../api/officer';
import { running } from '../model/due';
import { writePlace } from '../model/place';
import { useNow, useOfficeHere, zoneOf } from '../office';
import { useLoaded } from '../parts/load';
import { Region } from '../parts/region';
import { Back, State } from '../parts/shown';
import { useOffice } from '../words';
import { ClockText } from './clocks';
import { NewIncidentForm } from './new';
import { OneIncident } from './one';

export function Incidents({ item }: { readonly item: string }) {
  const { t } = useOffice();
  if (item === '') return <List />;
  return (
    <>
      <Back to={writePlace('incidents')} text={t('incidents.back')} />
      {item === 'new' ? <NewIncidentForm /> : <OneIncident key={item} number={item} />}
    </>
  );
}

function List() {
  const { t } = useOffice();
  const { chosen } = useOfficeHere();
  const load = useLoaded('incidents', (signal) => incidents(signal));
  const here = (all: readonly Incident[]) => all.filter((each) => chosen === '' || each.site === chosen);
  return (
    <>
      <div class="office-bar">
        <p class="office-lead">{t('incidents.lead')}</p>
        <span class="spring" />
        <a class="button primary" href={writePlace('incidents', 'new')} data-new-incident>
          {t('incidents.new')}
        </a>
      </div>
      <Region
        name="incidents"
        load={load}
        empty={t('incidents.empty')}
        isEmpty={(answer) => here(answer.incidents).length === 0}
      >
        {(answer) => <Table incidents={here(answer.incidents)} />}
      </Region>
    </>
  );
}

function Table({ incidents: rows }: { readonly incidents: readonly Incident[] }) {
  const { t, moment } = useOffice();
  const office = useOfficeHere();
  const now = useNow();
  const sorted = [...rows].sort((a, b) =>
    a.state === b.state ? b.registered - a.registered : a.state === 'open' ? -1 : 1,
  );
  return (
    <div class="card sheet-card">
      <table class="sheet">
        <caption class="visually-hidden">{t('section.incidents')}</caption>
        <thead>
          <tr>
            <th scope="col">{t('requests.number')}</th>
            <th scope="col">{t('incidents.kind')}</th>
            <th scope="col">{t('site.label')}</th>
            <th scope="col">{t('incidents.detected')}</th>
            <th scope="col">{t('incidents.clock')}</th>
            <th scope="col">{t('requests.state')}</th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((incident) => {
            const next = running(incident)[0];
            return (
              <tr key={incident.number} data-incident={incident.number}>
                <th scope="row">
                  <a href={writePlace('incidents', incident.number)}>{incident.number}</a>
                </th>
                <td data-label={t('incidents.kind')}>
                  {t(`incident.${incident.kind}`)}
                  <span class="sheet-more">{incident.what}</span>
                </td>
                <td data-label={t('site.label')}>{incident.site}</td>
                <td data-label={t('incidents.detected')}>{moment(incident.detected, zoneOf(office, incident.site))}</td>
                <td data-label={t('incidents.clock')}>{next ? <ClockText clock={next} now={now} named /> : '—'}</td>
                <td data-label={t('requests.state')}>
                  <State
                    tone={incident.state === 'open' ? 'warn' : 'good'}
                    text={t(`incident_state.${incident.state}`)}
                  />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
