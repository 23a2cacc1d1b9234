// A visitor of the clinic: a browser context, and what its pages sent.
import { mkdtempSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './poll.mjs';

/** Another host's pages are never loaded: a click there gets an empty page. */
const ELSEWHERE = url => /^http/.test(url.protocol) && url.hostname !== '127.0.0.1';

export class Visitor {
  /** What the pages sent to the event address, in order. */
  sent = [];
  /** Hosts that were asked without a click, errors of the console and of the policy. */
  strange = [];

  static async of(context, collector) {
    const visitor = new Visitor();
    visitor.context = context;
    context.on('request', request => {
      if (request.url() === `${collector}/event`) visitor.sent.push(...JSON.parse(request.postData() ?? '[]'));
      if (ELSEWHERE(new URL(request.url())) && !request.isNavigationRequest()) visitor.strange.push(request.url());
    });
    context.on('console', message => {
      if (message.type() === 'error' && !/status of 404/.test(message.text())) visitor.strange.push(message.text());
    });
    context.on('weberror', error => visitor.strange.push(String(error.error())));
    await context.route(ELSEWHERE, route => route.fulfill({ contentType: 'text/html', body: '<link rel="icon" href="data:,">elsewhere' }));
    visitor.page = context.pages()[0] ?? (await context.newPage());
    return visitor;
  }

  /** Waits until a hit that fits was sent. */
  hit(what, fits) {
    return until(`${what} in ${JSON.stringify(this.sent.map(hit => hit.n ?? hit.ad ?? hit.k))}`, () => this.sent.find(fits));
  }

  viewed(path) {
    return this.hit(`the view of ${path}`, hit => hit.k === 'pageview' && new URL(hit.u).pathname === path);
  }

  happened(name) {
    return this.hit(`the event ${name}`, hit => hit.n === name);
  }

  /** Looks at an ad block until it counts as seen. */
  async see(ad, path) {
    await this.page.locator(`[data-metka-ad=${ad}]`).evaluate(block => block.scrollIntoView({ block: 'center', behavior: 'instant' }));
    await this.hit(`${ad} to be seen`, hit => hit.k === 'ad_viewable' && hit.ad === ad && new URL(hit.u).pathname === path);
  }

  /** Leaves the site, so that what waits is sent. */
  async leave() {
    await this.page.goto('about:blank');
  }
}

/** A browser that takes no cookies. */
export const profileWithoutCookies = () => profileWith({ profile: { default_content_setting_values: { cookies: 2 } } });

/** A profile with settings as the browser's own settings page writes them. */
export function profileWith(preferences) {
  const dir = mkdtempSync(join(tmpdir(), 'metka-profile-'));
  mkdirSync(join(dir, 'Default'));
  writeFileSync(join(dir, 'Default/Preferences'), JSON.stringify(preferences));
  return dir;
}
