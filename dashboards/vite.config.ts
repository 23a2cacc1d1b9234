/**
 * One page, hashed files under /assets/, nothing inline: the server's Content
 * Security Policy allows neither inline scripts nor inline styles, so no file
 * may become a data: address either.
 */
import { defineConfig } from 'vite';
import { world } from './scripts/world.mjs';

/** Where `npm run dev` finds the API: the mock of dev/mock.mjs, or a real `metka serve`. */
const API = process.env['METKA_WEB'] ?? 'http://127.0.0.1:8091';

/**
 * What the dashboard shows at first goes in one file, also where pages that load
 * later use parts of it: cut at each such part it would pack worse.
 */
const FRAME = /dashboards\/src\/(parts|panels|screens\/dashboard)[^?]*\.tsx?$|node_modules\/(preact|uplot)/;

export default defineConfig({
  base: '/',
  plugins: [world()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    assetsDir: 'assets',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'frame', test: FRAME }] } } },
  },
  server: { host: '127.0.0.1', proxy: { '/api': API, '/debug': API } },
});
