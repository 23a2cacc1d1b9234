/** What a site puts into its pages. */
import type { Site } from '../api/types';

/** Stands for the collect address where the server does not tell it. */
export const PLACEHOLDER = 'https://STATS';

export interface Snippet {
  /** For every page's head. */
  readonly script: string;
  /** For browsers without scripts. */
  readonly image: string;
  /** The address is a placeholder that has to be replaced. */
  readonly unfinished: boolean;
}

export function snippetOf(site: Site): Snippet {
  const origin = site.collect_url?.replace(/\/$/, '') || PLACEHOLDER;
  return {
    script: `<script defer src="${origin}${site.script_path ?? '/pixel.js'}" data-site="${site.id}"></script>`,
    image: `<noscript><img src="${origin}${site.pixel_path ?? '/pixel.gif'}?s=${site.id}" alt="" referrerpolicy="no-referrer-when-downgrade"></noscript>`,
    unfinished: origin === PLACEHOLDER,
  };
}
