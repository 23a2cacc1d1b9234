/** What every section knows: the sites, the one that is looked at. */
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Site } from '../api/types';

export interface Here {
  readonly sites: readonly Site[];
  readonly site: Site;
  readonly onSite: (id: string) => void;
}

export const HereContext = createContext<Here | null>(null);

export function useHere(): Here {
  const here = useContext(HereContext);
  if (!here) throw new Error('a section stands outside of the security page');
  return here;
}
