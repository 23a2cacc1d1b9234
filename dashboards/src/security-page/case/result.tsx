/** A case file: its summary, the visit that the moment was in, and each visit with its hits. */
import { useMemo, useState } from 'preact/hooks';
import type { CaseFile, CaseHit, CaseVisit } from '../../api/security';
import { Card, Facts, State } from '../../officer/parts/shown';
import { OpenDialog } from '../addresses/open';
import { useHere } from '../here';
import { shortened } from '../model/addresses';
import { addressesOf, minutesAway, told } from '../model/case';
import { useSecurity } from '../words';
import { placeName } from '../words/evidence';
import { said } from '../words/said';

/** So many visits are unfolded at first, and the one that the moment was in. */
const UNFOLDED = 3;

interface Props {
  readonly file: CaseFile;
  readonly zone: string;
}

export function CaseResult({ file, zone }: Props) {
  const words = useSecurity();
  const { t, find, format, language, moment } = words;
  const { site } = useHere();
  const [opening, setOpening] = useState<string | null>(null);
  const { summary } = file;
  const number = (count: number) => <span data-value={count}>{format.number(count)}</span>;
  const shown = file.visits.reduce((sum, visit) => sum + visit.trail.length, 0);
  return (
    <div class="office-stack" data-result="case" data-hits={summary.hits} data-visits={summary.visits}>
      <Card title={t('case.answer')} name="summary">
        {summary.hits === 0 ? (
          <p class="office-lead">{t('case.nothing')}</p>
        ) : (
          <Facts
            facts={[
              [t('case.hits'), number(summary.hits)],
              [t('case.visits'), number(summary.visits)],
              [t('case.visitors'), number(summary.visitors)],
              [t('seen.first'), summary.first && moment(summary.first, zone)],
              [t('seen.last'), summary.last && moment(summary.last, zone)],
              [t('case.days'), number(summary.days)],
              [t('case.addresses'), summary.addresses === null ? null : number(summary.addresses)],
              [t('case.countries'), summary.countries.filter(Boolean).map(format.country).join(', ')],
              [t('case.devices'), summary.devices.filter(Boolean).map((each) => find(`device.${each}`) ?? each).join(', ')],
            ]}
          />
        )}
        {file.around && <VisitAt file={file} />}
        {file.more && (
          <p class="office-note">{t('case.more', { count: shown, number: format.number(shown) })}</p>
        )}
        {file.notes.map((note) => (
          <p class="office-note" key={note}>
            {said(language, note)}
          </p>
        ))}
      </Card>
      {file.visits.map((visit, index) => (
        <Visit
          key={visit.number}
          visit={visit}
          zone={zone}
          isOpen={visit.is_at || index < UNFOLDED}
          isOfSeveral={summary.visitors > 1}
          onOpen={setOpening}
        />
      ))}
      {opening !== null && <OpenDialog site={site} token={opening} onClose={() => setOpening(null)} />}
    </div>
  );
}

function VisitAt({ file }: { readonly file: CaseFile }) {
  const { t, format } = useSecurity();
  const away = minutesAway(file);
  const at = file.visit_at;
  return (
    <p class="office-note" data-visit-at={at?.number ?? ''}>
      <State
        tone={at === null ? 'warn' : away === null ? 'good' : 'plain'}
        text={
          at === null
            ? t('case.no_visit')
            : away === null
              ? t('case.in_visit', { number: format.number(at.number) })
              : t('case.near_visit', { count: away, number: format.number(at.number), minutes: format.number(away) })
        }
      />
    </p>
  );
}

interface VisitProps {
  readonly visit: CaseVisit;
  readonly zone: string;
  readonly isOpen: boolean;
  readonly isOfSeveral: boolean;
  readonly onOpen: (token: string) => void;
}

function Visit({ visit, zone, isOpen, isOfSeveral, onOpen }: VisitProps) {
  const { t, format, moment, language } = useSecurity();
  // A payment is told to the second, and its month by name: 11/12 is two days.
  const clock = useMemo(
    () => new Intl.DateTimeFormat(language, { timeZone: zone, dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' }),
    [language, zone],
  );
  const name = visit.events === 0 ? t('case.before') : t('case.visit', { number: format.number(visit.number) });
  const addresses = addressesOf(visit);
  return (
    <details class="card sheet-card case-visit" open={isOpen} data-visit={visit.number} data-is-at={visit.is_at}>
      <summary>
        <b>{name}</b> <span>{moment(visit.first, zone)}</span>{' '}
        <span>{t('case.count', { count: visit.hits, number: format.number(visit.hits) })}</span>
        {isOfSeveral && <span> {t('case.of_visitor', { number: format.number(visit.visitor) })}</span>}
      </summary>
      <table class="sheet">
        <caption class="visually-hidden">{name}</caption>
        <thead>
          <tr>
            <th scope="col">{t('case.time')}</th>
            <th scope="col">{t('case.what')}</th>
            <th scope="col">{t('case.page')}</th>
            <th scope="col">{t('case.from_where')}</th>
            <th scope="col">{t('case.with')}</th>
          </tr>
        </thead>
        <tbody>
          {visit.trail.map((hit, index) => (
            <Hit key={index} hit={hit} clock={clock} />
          ))}
        </tbody>
      </table>
      {addresses.length > 0 && (
        <div class="office-bar case-addresses">
          <p>{t('case.its_addresses')}</p>
          {addresses.map((token) => (
            <button
              key={token}
              type="button"
              class="button"
              data-open={token}
              title={token}
              onClick={() => onOpen(token)}
            >
              {t('open.do')} <code class="hash">{shortened(token)}</code>
            </button>
          ))}
        </div>
      )}
    </details>
  );
}

function Hit({ hit, clock }: { readonly hit: CaseHit; readonly clock: Intl.DateTimeFormat }) {
  const words = useSecurity();
  const { t, find, format } = words;
  const mark = told(hit, 'mark');
  const [language, zoneOfBrowser] = [told(hit, 'language'), told(hit, 'timezone')];
  const more = (text: string) => text !== '' && <span class="sheet-more">{text}</span>;
  return (
    <tr data-hit={hit.kind}>
      <th scope="row">
        <time dateTime={hit.time}>{timeOf(hit, clock)}</time>
      </th>
      <td data-label={t('case.what')}>
        {find(`hit.${hit.kind}`) ?? hit.kind}
        {more(told(hit, 'name', 'ad'))}
        {mark !== '' && more(find(`mark.${mark}`) ?? mark)}
      </td>
      <td data-label={t('case.page')}>
        {told(hit, 'path') || '—'}
        {more(told(hit, 'host'))}
      </td>
      <td data-label={t('case.from_where')}>
        {placeName(words, told(hit, 'country'), told(hit, 'city'), told(hit, 'region')) || '—'}
        {more(told(hit, 'network'))}
        {more(told(hit, 'referrer', 'source'))}
      </td>
      <td data-label={t('case.with')}>
        {told(hit, 'browser', 'os') || '—'}
        {more([language === '' ? '' : format.language(language), zoneOfBrowser].filter(Boolean).join(', '))}
        {hit['signed_in'] === true && more(t('case.signed_in'))}
        {hit['identity'] === 'cookieless' && more(t('case.cookieless'))}
      </td>
    </tr>
  );
}

/** A time that is none is shown as it came. */
function timeOf({ time }: CaseHit, clock: Intl.DateTimeFormat): string {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? time : clock.format(at);
}
