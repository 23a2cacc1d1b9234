/** What every section of the settings knows. */
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Kept } from '../api/kept';
import type { Session, Site } from '../api/types';

export interface Here {
  readonly session: Session;
  readonly site: Site;
  readonly kept: Kept;
  /** Whether goals, funnels, links and reports may be changed. */
  readonly owner: boolean;
  /** Something was changed: what is kept is asked again. */
  readonly changed: () => void;
}

export const HereContext = createContext<Here | null>(null);

export function useHere(): Here {
  const here = useContext(HereContext);
  if (!here) throw new Error('a section of the settings outside of its page');
  return here;
}

/** The owner changes all segments and notes, everybody else their own. */
export function mayChange(here: Here, thing: { readonly by: string }): boolean {
  return here.owner || (here.session.login !== null && here.session.login === thing.by);
}
