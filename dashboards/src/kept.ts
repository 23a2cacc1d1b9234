/** What a site keeps beside its numbers, as far as this page shows it: notes, names of goals and segments. */
import { useEffect, useState } from 'preact/hooks';
import { settings } from './api/client';
import type { SiteSettings } from './api/types';
import { nameSegments } from './words/segments';

/** The numbers do without it, where there is no answer. */
export const NOTHING_KEPT: SiteSettings = { goals: [], funnels: [], segments: [], notes: [] };

/** Null until there is an answer. */
export function useKept(site: string, refresh: number): SiteSettings | null {
  const [kept, setKept] = useState<SiteSettings | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    settings(site, abort.signal).then(
      (found) => {
        nameSegments(found.segments);
        setKept(found);
      },
      () => !abort.signal.aborted && setKept((before) => before ?? NOTHING_KEPT),
    );
    return () => abort.abort();
  }, [site, refresh]);
  return kept;
}
