/** What every section knows: the sites, the one that is looked at. */
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Purpose } from '../api/security';
import type { Site } from '../api/types';

export interface Here {
  readonly sites: readonly Site[];
  readonly site: Site;
  readonly onSite: (id: string) => void;
  /** Why statistics of addresses are looked at, until the page is closed; null before it is chosen. */
  readonly purpose: Purpose | null;
  readonly onPurpose: (purpose: Purpose) => void;
}

export const HereContext = createContext<Here | null>(null);

export function useHere(): Here {
  const here = useContext(HereContext);
  if (!here) throw new Error('a section stands outside of the security page');
  return here;
}
