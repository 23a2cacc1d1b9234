/** The log of disclosures: who got what, on which basis. */
import { disclosures, type Disclosure } from '../../api/officer';
import { writePlace } from '../model/place';
import { useOfficeHere, zoneOf } from '../office';
import { useLoaded } from '../parts/load';
import { Region } from '../parts/region';
import { Back, Facts, Subjects } from '../parts/shown';
import { useOffice, type OfficeWords } from '../words';
import { NewDisclosureForm } from './new';

export function Disclosures({ item }: { readonly item: string }) {
  const { t } = useOffice();
  const { chosen } = useOfficeHere();
  if (item === 'new') {
    return (
      <>
        <Back to={writePlace('disclosures')} text={t('disclosures.back')} />
        <NewDisclosureForm />
      </>
    );
  }
  return <Log key={chosen} site={chosen} />;
}

function Log({ site }: { readonly site: string }) {
  const { t } = useOffice();
  const load = useLoaded(site, (signal) => disclosures(site, signal));
  return (
    <>
      <div class="office-bar">
        <p class="office-lead">{t('disclosures.lead')}</p>
        <span class="spring" />
        <a class="button primary" href={writePlace('disclosures', 'new')} data-new-disclosure>
          {t('disclosures.new')}
        </a>
      </div>
      <Region
        name="disclosures"
        load={load}
        empty={t('disclosures.empty')}
        isEmpty={(answer) => answer.disclosures.length === 0}
      >
        {(answer) => (
          <ul class="office-stack">
            {[...answer.disclosures]
              .sort((a, b) => b.at - a.at)
              .map((each) => (
                <li key={each.number}>
                  <One disclosure={each} />
                </li>
              ))}
          </ul>
        )}
      </Region>
    </>
  );
}

export function One({ disclosure }: { readonly disclosure: Disclosure }) {
  const words = useOffice();
  const { t, format, moment, find, law } = words;
  const office = useOfficeHere();
  const zone = zoneOf(office, disclosure.site);
  return (
    <article class="card office-card" data-disclosure={disclosure.number}>
      <header class="office-card-head">
        <h2>
          {disclosure.number} · {disclosure.recipient}
        </h2>
        <time dateTime={new Date(disclosure.at).toISOString()}>{moment(disclosure.at, zone)}</time>
      </header>
      <Facts
        facts={[
          [
            t('disclosures.recipient_kind'),
            find(`recipient.${disclosure.recipient_kind}`) ?? disclosure.recipient_kind,
          ],
          [t('disclosures.basis'), disclosure.basis],
          [t('disclosures.purpose'), disclosure.purpose],
          [t('site.label'), disclosure.site],
          [t('disclosures.scope'), scope(words, disclosure, zone)],
          [
            t('disclosures.fields'),
            disclosure.fields.map((each) => find(`field.${each}`) ?? each).join(', '),
          ],
          [
            t('disclosures.size'),
            t('disclosures.size_of', {
              rows: t('erase.rows', { count: disclosure.rows, number: format.number(disclosure.rows) }),
              visitors: t('disclosures.visitors', {
                count: disclosure.visitors,
                number: format.number(disclosure.visitors),
              }),
              format: disclosure.format.toUpperCase(),
            }),
          ],
          ['SHA-256', <code class="hash">{disclosure.sha256}</code>],
          [
            t('disclosures.request'),
            disclosure.request && <a href={writePlace('requests', disclosure.request)}>{disclosure.request}</a>,
          ],
          [t('disclosures.who'), law(disclosure.who)],
        ]}
      />
    </article>
  );
}

function scope(words: OfficeWords, { scope: what }: Disclosure, zone: string) {
  if ('person' in what) return <Subjects subjects={what.person.subjects} />;
  if ('case' in what) return <Subjects subjects={what.case.subjects} />;
  const { from, to } = what.range;
  return words.t('disclosures.range_of', { from: words.moment(from, zone), to: words.moment(to, zone) });
}
