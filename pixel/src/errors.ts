/**
 * The script that reports errors of the page's other scripts, for sites that ask for them (`fields` with `errors`).
 *
 * In: the errors that the browser tells the page of: exceptions that nothing caught, rejections that nothing handled.
 * Out: hits `error` through the tracking script, which stands in the same page: its class, and of a script of the
 * site's own its path and line: `TypeError /js/clinic.js:12`.
 *
 * Invariants:
 * - Nothing of an error's message or stack is read: they hold what a script was about, which may be a person.
 * - It sends nothing itself. What happens before the tracking script has come waits for it; without it nothing is sent.
 * - Each error is told once per page, and no more than ten different ones, so that a loop costs nobody anything.
 * - It keeps nothing in the browser and adds no name to the page.
 * - It does not listen to the page being left: a listener before the other script's gives the page a moment in which it
 *   learns that its last request was broken off, so that it sends once more what has arrived.
 *
 * Errors of the visitor's own extensions are not the site's and are left out. Of a script from another host the browser
 * tells no class and no place (unless it is loaded with `crossorigin`): it is an `Error`. What a page catches itself, and
 * files that do not load, are not seen.
 */

const enum Limit {
  /** Different errors of one page. */
  Errors = 10,
  /** Between two looks whether the tracking script has come, in ms. */
  Wait = 1000,
  /** The longest path that is told, in characters: a name has 128, of which class and line take some. */
  Path = 60,
}

{
  const told = new Set<string>();
  const waiting: string[] = [];

  const send = (): void => {
    if (window.metka?.hit) for (const n of waiting.splice(0)) metka!.hit!('error', { n });
    else setTimeout(send, Limit.Wait);
  };

  const notice = (error: unknown, file?: string, line?: number): void => {
    const { name } = Object(error) as Error;
    let text = /^[A-Z][A-Za-z\d]{0,58}Error$/.test(name) ? name : 'Error';
    if (file) {
      const url = new URL(file, location.href);
      if (!/^http/.test(url.protocol)) return;
      if (url.origin == location.origin && url.pathname.length < Limit.Path) text += ` ${url.pathname}:${line}`;
    }
    if (told.size < Limit.Errors && !told.has(text)) {
      told.add(text);
      waiting.push(text);
      send();
    }
  };

  addEventListener('error', event => notice(event.error, event.filename, event.lineno));
  addEventListener('unhandledrejection', event => notice(event.reason));
}

export {};
