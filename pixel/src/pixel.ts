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
 * other hosts belong to the site. Budget: 1,300 bytes after `gzip -9`, checked by test/size.test.mjs.
 */

type Consent = 'granted' | 'denied' | 'marketing';
type Props = Record<string, string | number | boolean>;

interface Metka {
  (name: string, options?: { props?: Props }): void;
  consent?(choice: boolean | 'marketing'): void;
  /** Calls made before the script came, kept by the stub of docs/embed.md. */
  q?: Parameters<Metka>[];
}

/** A hit's fields, by the names of the contract. `undefined` ones are not sent. */
interface Hit {
  s?: string | undefined;
  k?: string;
  u?: string;
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

declare global {
  interface Window {
    metka?: Metka;
  }
  interface Document {
    readonly prerendering?: boolean;
  }
}

/** Hits that wait at most: a page that reports in a loop must not fill the visitor's memory, nor what waits outgrow
 * the 64 KiB that a browser allows to requests that outlive the page. */
const WAITING = 60;
/** Before what failed is sent again, in ms: the time in which a server restarts. */
const RETRY = 3000;
/** How long half of an ad block must be on screen without a break to be seen, in ms (MRC/IAB). */
const SEEN = 1000;
const AD = '[data-metka-ad]';
const DOWNLOAD = /\.(pdf|zip|rar|7z|docx?|xlsx?|pptx?|rtf|txt|csv|mp[34]|exe|dmg|apk)$/i;

const page = document;
const script = page.currentScript as HTMLScriptElement;
const options = script.dataset;
const early = window.metka;

if (!early?.consent) {
  const endpoint = new URL(options.event || 'event', script.src);
  const off = (options.off || '').split(' ');

  /** Hits as JSON; one that is sent again begins with a space. */
  let waiting: string[] = [];
  let busy = false;

  let path: string;
  let address: string;
  let referrer = page.referrer;
  let consent = options.consent as Consent | undefined;
  /** Milliseconds in view and focus that are not reported yet, and since when the page has been so, or 0. */
  let engaged = 0;
  let since = 0;
  /** The lowest pixel of the page that was on screen, and the depth reported last, in percent. */
  let lowest = 0;
  let reported = 0;
  const blocks = new WeakSet<Element>();

  // --- sending ---

  const record = (k: string, fields?: Hit): void => {
    const hit: Hit = {
      s: options.site,
      k,
      u: address,
      w: screen.width,
      z: Intl.DateTimeFormat().resolvedOptions().timeZone,
      uk: options.userKey,
      c: consent,
      i: (crypto.getRandomValues(new BigUint64Array(1))[0]! | (2n ** 63n)).toString(16),
      ...fields,
    };
    off.map(field => delete hit[field as keyof Hit]);
    if (!waiting[WAITING] && !off.includes(hit.n!)) waiting.push(JSON.stringify(hit));
    // Later in this task, so that what happens together goes together.
    Promise.resolve().then(() => send());
  };

  const send = (leaving?: boolean): void => {
    if (waiting[0] && !page.prerendering && (leaving || !busy)) {
      const batch = waiting;
      const body = `[${batch}]`;
      waiting = [];
      if (leaving) navigator.sendBeacon(endpoint, body);
      else {
        busy = true;
        fetch(endpoint, { method: 'POST', body, keepalive: true, credentials: 'include' })
          .then(answer => answer.status == 503, () => true)
          .then(failed => {
            if (failed) waiting = batch.filter(hit => hit > '!').map(hit => ' ' + hit).concat(waiting);
            setTimeout(() => {
              busy = false;
              send();
            }, failed ? RETRY : 0);
          });
      }
    }
  };

  // --- pages ---

  const happened = (n: string, p?: Props): void => record('event', { n, p });

  const view = (): void => {
    path = location.pathname;
    address = location.origin + path + location.search;
    lowest = reported = 0;
    record('pageview', { r: referrer, t: page.title });
    referrer = address;
    if (page.querySelector('meta[name=metka][content="404"]')) happened('404', { path });
  };

  const look = (): void => {
    const now = performance.now();
    if (since) engaged += now - since;
    since = page.hasFocus() && !page.hidden ? now : 0;
    lowest = Math.max(lowest, scrollY + innerHeight);
  };

  const report = (): void => {
    look();
    const d = engaged | 0;
    const sd = Math.min(100, (lowest / page.documentElement.scrollHeight) * 100 + 0.5 | 0);
    if (d || sd > reported) record('engagement', { d, sd });
    engaged = 0;
    reported = sd;
  };

  const arrive = (): void => {
    if (path != location.pathname) view();
  };

  const move = (): void => {
    if (path != location.pathname) {
      report();
      // The page's router draws and names the new page first.
      setTimeout(arrive);
    }
  };

  // --- ad blocks ---

  const scan = (): void =>
    page.querySelectorAll<HTMLElement>(AD).forEach(block => {
      if (!blocks.has(block) && block.getClientRects()[0]) {
        const fields = { ad: block.dataset.metkaAd };
        let half: boolean;
        let timer: number;
        const watch = (): void => {
          clearTimeout(timer);
          if (half && !page.hidden)
            timer = setTimeout(() => {
              observer.disconnect();
              half = false;
              record('ad_viewable', fields);
            }, SEEN);
        };
        const observer = new IntersectionObserver(
          entries => {
            half = entries.pop()!.intersectionRatio >= 0.5;
            watch();
          },
          { threshold: 0.5 },
        );
        blocks.add(block);
        record('ad_view', fields);
        observer.observe(block);
        addEventListener('visibilitychange', watch);
      }
    });

  // --- what the visitor does ---

  const notice = (event: Event): void => {
    const { type } = event;
    look();
    move();
    if (/click/.test(type) && (event as MouseEvent).button < 2) {
      const target = event.target as Element;
      const block = target.closest<HTMLElement>(AD);
      const link = target.closest<HTMLAnchorElement>('a[href]');
      if (block) record('ad_click', { ad: block.dataset.metkaAd });
      if (link && /^http/.test(link.protocol)) {
        const p = { url: link.host + link.pathname };
        if (DOWNLOAD.test(link.pathname) || link.matches('[download]')) happened('download', p);
        else if (link.hostname != location.hostname) happened('outbound', p);
      }
    }
    if (type == 'pageshow' && (event as PageTransitionEvent).persisted) view();
    if (type == 'pagehide' || page.hidden) {
      report();
      send(true);
    }
    send();
    scan();
  };

  // --- beginning ---

  const metka: Metka = (window.metka = (name, options) => {
    arrive();
    happened(name, options?.props);
  });
  metka.consent = choice => {
    consent = choice === true ? 'granted' : choice || 'denied';
    record('consent');
  };

  for (const method of ['pushState', 'replaceState'] as const) {
    const original = history[method];
    history[method] = (...values) => {
      original.apply(history, values);
      move();
    };
  }
  for (const type of 'popstate scroll focus blur pagehide pageshow visibilitychange click auxclick prerenderingchange'.split(' '))
    addEventListener(type, notice, true);

  look();
  view();
  early?.q?.map(values => metka(...values));
  scan();
  new MutationObserver(scan).observe(page, { childList: true, subtree: true });
}
