// A small collector that records what the script sends, and a site with the pages that a test gives.
//
// Both listen on free ports of one host, so they are of one site but of different origins, as in production.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { until } from './poll.mjs';

const SCRIPTS = join(import.meta.dirname, '../../../pixel/dist');

async function listen(handler) {
  const server = createServer(handler);
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

/** What the script sends, request by request. */
export class Recorder {
  /** Every request: `{hits, headers, cookie}`, in the order of arrival. */
  requests = [];
  /** Cookies made so far. */
  minted = 0;
  /** What to do with the next requests, in order: a status, `'break'`, or a promise to wait for. */
  plan = [];
  pages = {};
  /** Where the pages' scripts come from and report to, if not to this collector. */
  collectorOfPages;

  static async start() {
    const recorder = new Recorder();
    recorder.collector = await listen((request, response) => recorder.#collect(request, response));
    recorder.site = await listen((request, response) => recorder.#serve(request, response));
    return recorder;
  }

  async stop() {
    for (const { server } of [this.collector, this.site]) {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    }
  }

  /** Begins a test: `pages` by path, each the inside of a body, or `{head, body, script, errors}`;
   * with `errors` the page has the script of errors too, before the other. */
  begin(pages) {
    this.requests = [];
    this.plan = [];
    this.minted = 0;
    this.pages = pages;
  }

  get hits() {
    return this.requests.flatMap(request => request.hits);
  }

  of(kind) {
    return this.hits.filter(hit => hit.k === kind);
  }

  /** Waits for `count` hits of a kind (or of a name), and returns them. */
  async wait(kind, count = 1) {
    await until(`${count} × ${kind}, have ${JSON.stringify(this.hits.map(h => h.n ?? h.k))}`, () => this.named(kind).length >= count);
    return this.named(kind);
  }

  named(kind) {
    return this.hits.filter(hit => hit.k === kind || hit.n === kind);
  }

  async #collect(request, response) {
    response.setHeader('access-control-allow-origin', request.headers.origin ?? '*');
    response.setHeader('access-control-allow-credentials', 'true');
    if (request.url.endsWith('.js')) {
      response.setHeader('content-type', 'text/javascript');
      response.end(readFileSync(join(SCRIPTS, request.url)));
      return;
    }
    let body = '';
    for await (const part of request) body += part;
    const hits = JSON.parse(body);
    this.requests.push({ hits, method: request.method, url: request.url, headers: request.headers, cookie: request.headers.cookie });
    const step = this.plan.shift();
    if (step === 'break') {
      request.socket.destroy();
      return;
    }
    if (step instanceof Promise) await step;
    if (!request.headers.cookie?.includes('metka=')) response.setHeader('set-cookie', `metka=made-${++this.minted}; Path=/; HttpOnly; SameSite=Lax`);
    response.statusCode = typeof step === 'number' ? step : 202;
    response.end('{}');
  }

  #serve(request, response) {
    const path = new URL(request.url, 'http://x').pathname;
    const page = this.pages[path];
    if (page === undefined) {
      response.statusCode = 404;
      response.end();
      return;
    }
    if (path.endsWith('.js')) {
      response.setHeader('content-type', 'text/javascript');
      response.setHeader('access-control-allow-origin', '*');
      response.end(page);
      return;
    }
    const { head = '', body = page, script = '', errors = false } = typeof page === 'string' ? {} : page;
    const from = this.collectorOfPages ?? this.collector.url;
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><html lang="ru"><head><meta charset="utf-8"><title>${path}</title>
      <link rel="icon" href="data:,">${errors ? `<script defer src="${from}/errors.js"></script>` : ''}${head}
      <script defer src="${from}/pixel.js" data-site="clinic" ${script}></script></head><body>${body}</body></html>`);
  }
}
