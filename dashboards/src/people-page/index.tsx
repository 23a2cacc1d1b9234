/**
 * People and tokens: who may sign in and which programs may ask. The owner's
 * page; the others are told so.
 */
import { sites as fetchSites } from '../api/client';
import { roster } from '../api/kept';
import type { Session } from '../api/types';
import { mayManage } from '../model/roles';
import { useLoaded } from '../officer/parts/load';
import { Region } from '../officer/parts/region';
import { DeniedPage, PageFrame } from '../page-frame';
import { usePlace } from '../page-frame/place';
import { Boundary } from '../parts/boundary';
import type { PageProps } from '../parts/menu';
import { readPlace, SECTIONS, type Place } from './model';
import { People } from './people';
import { Roles } from './roles';
import { Tokens } from './tokens';
import { usePeople } from './words';
import '../settings-page/settings.css';

export function PeoplePage(props: PageProps) {
  const { t } = usePeople();
  const place = usePlace(readPlace);
  if (!mayManage(props.session)) {
    return (
      <DeniedPage
        {...props}
        here="people"
        title={t('people.title')}
        needs={t('people.denied_title')}
        why={t('people.denied_text', { role: props.session.role })}
      />
    );
  }
  return (
    <PageFrame
      {...props}
      here="people"
      title={t('people.title')}
      sections={SECTIONS}
      nameOf={(section) => t(`section.${section}`)}
      section={place.section}
      item={place.fresh ? 'new' : ''}
    >
      <Content place={place} session={props.session} />
    </PageFrame>
  );
}

function Content({ place, session }: { readonly place: Place; readonly session: Session }) {
  const people = useLoaded('people', (signal) => roster(signal));
  const sites = useLoaded('sites', (signal) => fetchSites(signal));
  if (place.section === 'roles') return <Roles />;
  return (
    <Region name="people" load={people}>
      {(answer) => (
        <Boundary key={`${place.section} ${place.fresh}`}>
          {place.section === 'people' ? (
            <People roster={answer} session={session} fresh={place.fresh} changed={people.again} />
          ) : (
            <Tokens roster={answer} sites={sites.answer ?? []} fresh={place.fresh} changed={people.again} />
          )}
        </Boundary>
      )}
    </Region>
  );
}
