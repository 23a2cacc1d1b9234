/**
 * The security page: whether a visitor is plausible, what one did, statistics of addresses.
 * For the roles security and owner; the others are told so.
 *
 * The address says the site (`?site=`) and the section (`#check`), and never who
 * somebody is or which address is looked at.
 */
import { useState } from 'preact/hooks';
import type { Purpose } from '../api/security';
import { maySecure } from '../model/roles';
import { DeniedPage, PageFrame } from '../page-frame';
import { usePlace } from '../page-frame/place';
import { useSites } from '../page-frame/sites';
import { Boundary } from '../parts/boundary';
import type { PageProps } from '../parts/menu';
import { Addresses } from './addresses';
import { Case } from './case';
import { Check } from './check';
import { HereContext } from './here';
import { readPlace, SECTIONS, type Section } from './model/place';
import { useSecurity } from './words';
import './security.css';

export function SecurityPage(props: PageProps) {
  const { t } = useSecurity();
  if (maySecure(props.session)) return <Secured {...props} />;
  return (
    <DeniedPage
      {...props}
      here="security"
      title={t('security.title')}
      needs={t('security.denied_title')}
      why={t('security.denied_text', { role: props.session.role })}
    />
  );
}

function Secured(props: PageProps) {
  const { t } = useSecurity();
  const section = usePlace(readPlace);
  const sites = useSites('the first');
  const [purpose, setPurpose] = useState<Purpose | null>(null);
  const { all, site, choose } = sites;
  return (
    <PageFrame
      {...props}
      here="security"
      title={t('security.title')}
      sites={sites}
      sections={SECTIONS}
      nameOf={(each) => t(`section.${each}`)}
      section={section}
    >
      {site && (
        <HereContext.Provider value={{ sites: all, site, onSite: choose, purpose, onPurpose: setPurpose }}>
          <Boundary key={`${section} ${site.id}`}>
            <Shown section={section} />
          </Boundary>
          <p class="office-foot">{t('footer.zone', { zone: site.timezone })}</p>
        </HereContext.Provider>
      )}
    </PageFrame>
  );
}

function Shown({ section }: { readonly section: Section }) {
  switch (section) {
    case 'check':
      return <Check />;
    case 'case':
      return <Case />;
    case 'addresses':
      return <Addresses />;
  }
}
