/**
 * The tracking script: what a page of the site tells the collector.
 *
 * In: the attributes of its own `<script>` tag (docs/embed.md lists them), the page, what the visitor does.
 * Out: `POST {collector}/event`, arrays of hits in the form of the contract (DESIGN.md, "Event JSON").
 *
 * Invariants:
 * - It keeps nothing in the browser: no cookie, no storage. Its only global is `metka`, and it runs once per page.
 * - One request is under way at a time, so the answer to the first one has set the cookie before the second leaves;
 *   only on leaving does all that waits go out by beacon at once.
 * - A hit is sent again once at most, and keeps its random id `i`, so the collector counts it once.
 * - A page that is being prerendered sends nothing until it is shown.
 *
 * It does not follow addresses that differ by query or fragment only, look into frames or shadow trees, or know which
 * other hosts belong to the site. Budget: 1,300 bytes after `gzip -9`, checked by test/size.test.mjs. The order of what
 * has none (a hit's fields, the list of events) is the one that packs best.
 */

type Consent = 'granted' | 'denied' | 'marketing';
type Props = Record<string, string | number | boolean>;

interface Metka {
  (name: string, options?: { props?: Props }): void;
  /** Any hit, as the contract has it: for the scripts beside this one (errors.ts). */
  hit?(kind: string, fields?: Hit): void;
  /** The calls kept by that stub have none, which tells it from the script. */
  consent?(choice: boolean | 'marketing'): void;
  /** Calls made before the script came, kept by the stub of docs/embed.md. */
  q?: Parameters<Metka>[];
}

/** A hit's fields, by the names of the contract. `undefined` ones are not sent. */
interface Hit {
  s?: string | undefined;
  k?: string;
  u?: string | undefined;
  r?: string;
  t?: string;
  n?: string;
  p?: Props | undefined;
  ad?: string | undefined;
  w?: number;
  d?: number;
  sd?: number;
  z?: string;
  uk?: string | undefined;
  c?: Consent | undefined;
  i?: string;
}

/** An ad block; `metka` is its width once it was rendered. */
interface Block extends HTMLElement {
  metka?: number;
}

declare global {
  var metka: Metka | undefined;
  interface Document {
    readonly prerendering?: boolean;
  }
}

const enum Limit {
  /** Hits that wait at most: a page that reports in a loop must not fill the visitor's memory, nor what waits outgrow
   * the 64 KiB that a browser allows to requests that outlive the page. */
  Waiting = 60,
  /** Before what failed is sent again, in ms: the time in which a server restarts. */
  Retry = 3000,
  /** How long half of an ad block must be on screen without a break to be seen, in ms (MRC/IAB). */
  Seen = 1000,
}

if (!window.metka?.consent) {
  const DOWNLOAD = /\.(pdf|zip|rar|docx?|xlsx?)$/i;

  const page = document;
  const {
    dataset: { off = '', event: eventPath = 'event', site, userKey, status },
    src,
  } = page.currentScript as HTMLScriptElement;
  const endpoint = new URL(eventPath, src);
  const unwanted = off.split(' ');

  const waiting: Hit[] = [];
  let busy: unknown;
  /** What is under way failed once. */
  let again: unknown;

  let path: string;
  let address: string | undefined;
  let consent: Consent;
  /** Milliseconds in view and focus that are not reported yet, and since when the page has been so, or false. */
  let engaged: number;
  let since: number | false;
  /** The lowest pixel of the page that was on screen. */
  let lowest: number;

  // --- sending ---

  const record = (k: string, fields?: Hit): void => {
    const hit: Hit = {
      w: screen.width,
      c: consent,
      k,
      uk: userKey,
      s: site,
      u: address,
      // Sixteen decimal digits are hex digits too: 53 random bits, told apart within one visitor's day.
      i: Math.random().toFixed(16).slice(2),
      z: Intl.DateTimeFormat().resolvedOptions().timeZone,
      ...fields,
    };
    for (const field of unwanted) delete hit[field as keyof Hit];
    if (!waiting[Limit.Waiting] && !unwanted.includes(hit.n!)) waiting.push(hit);
    // Later, so that what happens together goes together.
    setTimeout(send);
  };

  const send = (leaving?: boolean | void): void => {
    if (waiting[0] && !page.prerendering && (leaving || !busy)) {
      const batch = waiting.splice(0);
      const body = JSON.stringify(batch);
      if (leaving) navigator.sendBeacon(endpoint, body);
      else {
        busy = fetch(endpoint, { method: 'POST', body, keepalive: true, credentials: 'include' })
          .catch(error => error)
          .then(answer => {
            // An error has no status; only a 5xx says that the same hits may come again.
            again = !(answer.status < 500 || again) && waiting.unshift(...batch);
            setTimeout(() => {
              busy = 0;
              send();
            }, (again && Limit.Retry) as number);
          });
      }
    }
  };

  // --- pages ---

  const happened = (n: string, p?: Props): void => record('event', { n, p });

  const arrive = (): void => {
    // The left side is the path before.
    if (path != (path = location.pathname)) {
      engaged = lowest = 0;
      // The page before is the referrer, except for the first, whose referrer the browser knows.
      record('pageview', { r: address || page.referrer, u: (address = location.href.split('#')[0]), t: page.title });
    }
  };

  /** Brings the clock and the depth up to date, and reports them when the page is left. */
  const look = (_?: unknown): void => {
    const now = performance.now();
    const moved = path != location.pathname;
    if (since) engaged += now - since;
    since = page.hasFocus() && !page.hidden && now;
    lowest = Math.max(lowest, scrollY + innerHeight);
    // The page's router draws and names the new page first.
    if (moved) setTimeout(arrive);
    if (engaged > 1 && (moved || page.hidden)) {
      const sd = Math.min(100, (lowest / page.documentElement.scrollHeight) * 100 + 0.5 | 0);
      record('engagement', { d: engaged | 0, sd });
      engaged = 0;
    }
  };

  // --- ad blocks ---

  const scan = (): void => {
    for (const block of page.querySelectorAll<Block>('[data-metka-ad]'))
      if (!block.metka && (block.metka = block.offsetWidth)) {
        const fields = { ad: block.dataset.metkaAd };
        let half: boolean;
        let timer: number | false;
        const watch = (_: unknown): void => {
          clearTimeout(timer as number);
          timer =
            !page.hidden &&
            half &&
            setTimeout(() => {
              observer.disconnect();
              half = false;
              record('ad_viewable', fields);
            }, Limit.Seen);
        };
        const observer = new IntersectionObserver(
          entries => watch((half = entries.pop()!.intersectionRatio >= 0.5)),
          { threshold: 0.5 },
        );
        record('ad_view', fields);
        observer.observe(block);
        addEventListener('visibilitychange', watch);
      }
  };

  // --- what the visitor does ---

  const notice = (event: Event & Partial<MouseEvent & PageTransitionEvent>): void => {
    // Shown again from the browser's memory: a view of its own.
    if (event.persisted) path = '';
    look();
    // Only clicks have a button; the third opens a menu.
    if (event.button! < 2) {
      const target = event.target as Element;
      const block = target.closest<HTMLElement>('[data-metka-ad]');
      const link = target.closest('a');
      if (block) record('ad_click', { ad: block.dataset.metkaAd });
      if (link?.host) {
        const url = link.host + link.pathname;
        if (DOWNLOAD.test(url) || link.download) happened('download', { url });
        else if (link.host != location.host) happened('outbound', { url });
      }
    }
    send(page.hidden);
  };

  // --- beginning ---

  const early = window.metka?.q;
  metka = (name, options) => {
    arrive();
    happened(name, options?.props);
  };
  metka.hit = record;
  metka.consent = choice => {
    consent = (choice as unknown as number) > 0 ? 'granted' : (choice as 'marketing') || 'denied';
    record('consent');
  };

  for (const method of ['pushState', 'replaceState'] as const) {
    const original = history[method];
    history[method] = (...values) => look(original.apply(history, values));
  }
  for (const type of 'focus visibilitychange blur scroll auxclick pageshow click popstate'.split(' '))
    addEventListener(type, notice, true);

  arrive();
  look();
  if (status) happened(status, { path: path! });
  early?.map(values => metka!(...values));
  scan();
  // Later, so that what a router draws belongs to the page it has gone to.
  new MutationObserver(() => setTimeout(scan)).observe(page, { childList: true, subtree: true });
}
