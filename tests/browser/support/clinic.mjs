// The demo clinic's files, served the way the binary serves them, for any collector and site id.
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const FILES = join(import.meta.dirname, '../../../pixel/demo-clinic');
const TYPES = { html: 'text/html; charset=utf-8', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml', pdf: 'application/pdf' };

/** Serves the clinic at `/demo/` on a free port of `host`, with more `attributes` on the script's tag. */
export async function serveClinic({ collector, site, attributes = '', host = '127.0.0.1' }) {
  const server = createServer((request, response) => {
    const path = new URL(request.url, 'http://x').pathname;
    let name = path.startsWith('/demo/') ? path.slice('/demo/'.length) : '404';
    let found = [name, `${name.replace(/\/$/, '')}/index.html`, `${name}.html`].find(
      file => /\.[a-z]+$/.test(file) && existsSync(join(FILES, file)),
    );
    if (!found && name.startsWith('spa/')) found = 'spa/index.html';
    const status = found && found !== '404.html' ? 200 : 404;
    const file = found ?? '404.html';
    const type = TYPES[file.split('.').pop()];
    let body = readFileSync(join(FILES, file));
    if (file.endsWith('.html'))
      body = body
        .toString()
        .replaceAll('{{collector}}', collector)
        .replaceAll('data-site="demo"', `data-site="${site}" ${attributes}`)
        .replaceAll('?s=demo', `?s=${site}`);
    response.writeHead(status, {
      'content-type': type,
      'cache-control': 'no-store',
      'content-security-policy': `default-src 'none'; script-src 'self' ${collector}; style-src 'self'; img-src 'self' data: ${collector}; connect-src ${collector}; base-uri 'none'`,
    });
    response.end(body);
  });
  await new Promise(resolve => server.listen(0, host, resolve));
  const { port } = server.address();
  return { url: `http://${host}:${port}`, close: () => new Promise(resolve => { server.close(resolve); server.closeAllConnections(); }) };
}
