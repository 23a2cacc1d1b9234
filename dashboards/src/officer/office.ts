/** What every section knows: the sites, the one that is chosen, the person, the time. */
import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import type { Session, Site } from '../api/types';

/** How often clocks and due dates are told anew, in milliseconds. */
const TICK_MS = 30_000;

export interface Office {
  readonly session: Session;
  readonly sites: readonly Site[];
  /** The site that the page is narrowed to; empty for all. */
  readonly chosen: string;
  /** Whose clock is used for what belongs to no site. */
  readonly zone: string;
}

export const OfficeContext = createContext<Office>({
  session: { login: null, role: '' },
  sites: [],
  chosen: '',
  zone: 'UTC',
});

export function useOfficeHere(): Office {
  return useContext(OfficeContext);
}

/** The time zone of a site; of an unknown one (it was removed), the page's. */
export function zoneOf(office: Office, site: string): string {
  return office.sites.find((each) => each.id === site)?.timezone ?? office.zone;
}

/** What forms begin with. */
export function firstSite(office: Office): string {
  return office.chosen !== '' ? office.chosen : (office.sites[0]?.id ?? '');
}

/** The time, told anew every so often. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
