/**
 * The officer's page: requests of data subjects, disclosures, incidents, the
 * audit trail, the policy and its terms. For the roles officer and owner; the others
 * are told so.
 *
 * The address says the site (`?site=`) and the place (`#requests/2026-0001`), and
 * never who somebody is.
 */
import { mayOffice } from '../model/roles';
import { DeniedPage, PageFrame } from '../page-frame';
import { usePlace } from '../page-frame/place';
import { useSites } from '../page-frame/sites';
import { Boundary } from '../parts/boundary';
import type { PageProps } from '../parts/menu';
import { Audit } from './audit';
import { Disclosures } from './disclosures';
import { Incidents } from './incidents';
import { readPlace, SECTIONS, type Place } from './model/place';
import { OfficeContext } from './office';
import { Overview } from './overview';
import { Policy } from './policy';
import { Requests } from './requests';
import { Retention } from './retention';
import { SecondFactor } from './second-factor';
import { useOffice } from './words';

export function OfficerPage(props: PageProps) {
  const { t } = useOffice();
  if (mayOffice(props.session)) return <Office {...props} />;
  return (
    <DeniedPage
      {...props}
      here="officer"
      title={t('office.title')}
      needs={t('office.denied_title')}
      why={t('office.denied_text', { role: props.session.role })}
    />
  );
}

function Office(props: PageProps) {
  const { t } = useOffice();
  const place = usePlace(readPlace);
  const sites = useSites('all');
  const { all, site } = sites;
  const zone = (site ?? all[0])?.timezone ?? 'UTC';
  return (
    <PageFrame
      {...props}
      here="officer"
      title={t('office.title')}
      sites={sites}
      sections={SECTIONS}
      nameOf={(section) => t(`section.${section}`)}
      section={place.section}
      item={place.item}
      foot={<p class="office-foot">{t('footer.zone', { zone })}</p>}
    >
      <OfficeContext.Provider value={{ session: props.session, sites: all, chosen: site?.id ?? '', zone }}>
        <Boundary key={`${place.section} ${place.item}`}>
          <Shown place={place} />
        </Boundary>
      </OfficeContext.Provider>
    </PageFrame>
  );
}

function Shown({ place: { section, item } }: { readonly place: Place }) {
  switch (section) {
    case 'overview':
      return <Overview />;
    case 'requests':
      return <Requests item={item} />;
    case 'disclosures':
      return <Disclosures item={item} />;
    case 'incidents':
      return <Incidents item={item} />;
    case 'audit':
      return <Audit />;
    case 'policy':
      return <Policy />;
    case 'retention':
      return <Retention />;
    case 'account':
      return <SecondFactor />;
  }
}
