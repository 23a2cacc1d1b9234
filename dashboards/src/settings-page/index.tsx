/**
 * The settings of a site: goals, funnels, segments, notes, shared links, reports
 * by mail, and the line to embed. The owner changes all of it, the others keep
 * segments and notes.
 *
 * The address says the site (`?site=`) and the place (`#goals/new`).
 */
import { kept as fetchKept } from '../api/kept';
import type { Session, Site } from '../api/types';
import { mayManage } from '../model/roles';
import { useLoaded } from '../officer/parts/load';
import { Region } from '../officer/parts/region';
import { PageFrame } from '../page-frame';
import { usePlace } from '../page-frame/place';
import { useSites } from '../page-frame/sites';
import { Boundary } from '../parts/boundary';
import type { PageProps } from '../parts/menu';
import { nameSegments } from '../words/segments';
import { Embed } from './embed';
import { Funnels } from './funnels';
import { Goals } from './goals';
import { HereContext } from './here';
import { Links } from './links';
import { readPlace, sectionsOf, type Place } from './model/place';
import { Notes } from './notes';
import { Reports } from './reports';
import { Segments } from './segments';
import { useSettings } from './words';
import './settings.css';

export function SettingsPage(props: PageProps) {
  const { t } = useSettings();
  const { session } = props;
  const place = usePlace((hash) => readPlace(hash, session));
  const sites = useSites('the first');
  const { site } = sites;
  return (
    <PageFrame
      {...props}
      here="settings"
      title={t('settings.title')}
      sites={sites}
      sections={sectionsOf(session)}
      nameOf={(section) => t(`section.${section}`)}
      section={place.section}
      item={place.item}
    >
      {site && <OfSite key={site.id} site={site} session={session} place={place} />}
    </PageFrame>
  );
}

interface OfSiteProps {
  readonly site: Site;
  readonly session: Session;
  readonly place: Place;
}

function OfSite({ site, session, place }: OfSiteProps) {
  const load = useLoaded(`settings ${site.id}`, async (signal) => {
    const answer = await fetchKept(site.id, signal);
    nameSegments(answer.segments);
    return answer;
  });
  return (
    <Region name="settings" load={load}>
      {(kept) => (
        <HereContext.Provider value={{ session, site, kept, owner: mayManage(session), changed: load.again }}>
          <Boundary key={`${place.section} ${place.item}`}>
            <Shown place={place} />
          </Boundary>
        </HereContext.Provider>
      )}
    </Region>
  );
}

function Shown({ place: { section, item } }: { readonly place: Place }) {
  switch (section) {
    case 'goals':
      return <Goals item={item} />;
    case 'funnels':
      return <Funnels item={item} />;
    case 'segments':
      return <Segments item={item} />;
    case 'notes':
      return <Notes item={item} />;
    case 'links':
      return <Links item={item} />;
    case 'reports':
      return <Reports item={item} />;
    case 'embed':
      return <Embed />;
  }
}
