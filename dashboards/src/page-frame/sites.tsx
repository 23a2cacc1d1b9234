/**
 * The sites that a page may be about, and which one it is about: the address says
 * it (`?site=`), so that a link leads to the same. Asked once for a page.
 */
import { useCallback, useState } from 'preact/hooks';
import { sites as fetchSites } from '../api/client';
import type { Site } from '../api/types';
import { useLoaded, type Loaded } from '../officer/parts/load';
import { useOffice } from '../officer/words';
import { Icon } from '../parts/icons';

/** What a page is about as long as no site is chosen. */
type Otherwise = 'the first' | 'all';

export interface Sites {
  readonly load: Loaded<readonly Site[]>;
  /** Empty until they are there. */
  readonly all: readonly Site[];
  /** The one that is looked at; undefined until it is there, and where it is about all. */
  readonly site: Site | undefined;
  readonly otherwise: Otherwise;
  /** An empty id is all of them. */
  readonly choose: (id: string) => void;
}

export function useSites(otherwise: Otherwise): Sites {
  const load = useLoaded('sites', (signal) => fetchSites(signal));
  const [chosen, setChosen] = useState(() => new URLSearchParams(location.search).get('site') ?? '');
  const choose = useCallback((id: string) => {
    const search = id === '' ? '' : `?${new URLSearchParams({ site: id })}`;
    history.replaceState(null, '', `${location.pathname}${search}${location.hash}`);
    setChosen(id);
  }, []);
  const all = load.answer ?? [];
  const found = all.find((each) => each.id === chosen);
  return { load, all, site: otherwise === 'all' ? found : (found ?? all[0]), otherwise, choose };
}

/** A site alone is named where the page is about one. */
export function SiteChoice({ sites: { all, site, otherwise, choose } }: { readonly sites: Sites }) {
  const { t } = useOffice();
  if (all.length === 0) return null;
  if (all.length === 1) return otherwise === 'all' ? null : <p class="site-name">{site?.id}</p>;
  return (
    <label class="site-picker">
      <span class="visually-hidden">{t('site.label')}</span>
      <select value={site?.id ?? ''} data-site-choice onChange={(event) => choose(event.currentTarget.value)}>
        {otherwise === 'all' && <option value="">{t('office.all_sites')}</option>}
        {all.map((each) => (
          <option key={each.id} value={each.id}>
            {each.id}
          </option>
        ))}
      </select>
      <Icon name="down" />
    </label>
  );
}
