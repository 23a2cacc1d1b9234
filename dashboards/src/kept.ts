/** What a site keeps beside its numbers, as far as this page shows it: notes, names of goals and segments. */
import { useEffect, useState } from 'preact/hooks';
import { settings } from './api/client';
import type { SiteSettings } from './api/types';
import { nameSegments } from './words/segments';

const NOTHING: SiteSettings = { goals: [], segments: [], notes: [] };

/** Nothing until the answer is there, and when there is none: the numbers do without. */
export function useKept(site: string, refresh: number): SiteSettings {
  const [kept, setKept] = useState(NOTHING);
  useEffect(() => {
    const abort = new AbortController();
    settings(site, abort.signal).then(
      (found) => {
        nameSegments(found.segments);
        setKept(found);
      },
      () => undefined,
    );
    return () => abort.abort();
  }, [site, refresh]);
  return kept;
}
