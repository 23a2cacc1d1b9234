/** The policy, clause by clause: what does it, by which settings, and what shows that it does. */
import { policy, policyPage, type Clause, type Light, type PolicyTable } from '../api/officer';
import { firstSite, useOfficeHere, zoneOf } from './office';
import { fileMoment, saveFile } from './parts/file';
import { useLoaded } from './parts/load';
import { Region } from './parts/region';
import { State, type Tone } from './parts/shown';
import { useOffice } from './words';

/** A moment in RFC 3339, which is shown by the site's clock. */
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

const LIGHTS: Readonly<Record<Light, Tone>> = { green: 'good', red: 'bad', none: 'plain' };

export function Policy() {
  const { t } = useOffice();
  const office = useOfficeHere();
  const site = firstSite(office);
  const load = useLoaded(site, (signal) => policy(site, signal));
  return (
    <>
      {office.chosen === '' && office.sites.length > 1 && (
        <p class="office-lead">{t('policy.of_site', { site })}</p>
      )}
      <Region name="policy" load={load} empty={t('policy.empty')} isEmpty={(table) => table.clauses.length === 0}>
        {(table) => <Table table={table} />}
      </Region>
    </>
  );
}

function Table({ table }: { readonly table: PolicyTable }) {
  const { t, moment, language } = useOffice();
  const office = useOfficeHere();
  const zone = zoneOf(office, table.site);
  return (
    <div data-policy={table.site} data-policy-state={table.state}>
      <div class="office-bar">
        <div class="bar-text">
          <State tone={LIGHTS[table.state]} text={t(`policy.${table.state}`)} />
          <p class="office-lead">
            {table.version !== '' && `${t('policy.version', { version: table.version })} `}
            {t('policy.made', { at: moment(table.made, zone) })}
          </p>
        </div>
        <a class="button" href={policyPage(table.site, language)} target="_blank" rel="noopener" data-policy-page>
          {t('policy.print')}
        </a>
        <button
          type="button"
          class="button"
          data-policy-save
          onClick={() =>
            saveFile(`policy-${table.site}-${fileMoment(new Date())}`, 'json', JSON.stringify(table, null, 2))
          }
        >
          {t('policy.save')}
        </button>
      </div>
      <div class="card sheet-card">
        <table class="sheet clauses">
          <caption class="visually-hidden">{t('section.policy')}</caption>
          <thead>
            <tr>
              <th scope="col">{t('policy.clause')}</th>
              <th scope="col">{t('policy.says')}</th>
              <th scope="col">{t('policy.does')}</th>
              <th scope="col">{t('policy.evidence')}</th>
              <th scope="col">{t('policy.state')}</th>
            </tr>
          </thead>
          <tbody>
            {table.clauses.map((clause) => (
              <Row key={clause.clause} clause={clause} zone={zone} />
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function Row({ clause, zone }: { readonly clause: Clause; readonly zone: string }) {
  const { t, language, moment } = useOffice();
  const written = (value: unknown): string => {
    if (typeof value !== 'string') return JSON.stringify(value);
    return INSTANT.test(value) ? moment(value, zone) : value;
  };
  return (
    <tr data-clause={clause.clause} data-light={clause.state}>
      <th scope="row">{clause.clause}</th>
      <td data-label={t('policy.says')}>{clause[language]}</td>
      <td data-label={t('policy.does')}>
        {language === 'ru' ? clause.does_ru : clause.does_en}
        {clause.settings.length > 0 && (
          <ul class="settings">
            {clause.settings.map((setting) => (
              <li key={setting.key}>
                <code>
                  {setting.key} = {written(setting.value)}
                </code>
              </li>
            ))}
          </ul>
        )}
      </td>
      <td data-label={t('policy.evidence')}>
        {clause.evidence.length === 0 ? (
          '—'
        ) : (
          <ul class="evidence">
            {clause.evidence.map((each) => (
              <li key={each.en} data-light={each.state}>
                <State tone={LIGHTS[each.state]} text={`${each[language]}: ${written(each.value)}`} />
              </li>
            ))}
          </ul>
        )}
      </td>
      <td data-label={t('policy.state')}>
        <State tone={LIGHTS[clause.state]} text={t(`light.${clause.state}`)} />
      </td>
    </tr>
  );
}
