/**
 * One page, hashed files under /assets/, nothing inline: the server's Content
 * Security Policy allows neither inline scripts nor inline styles, so no file
 * may become a data: address either.
 */
import { defineConfig } from 'vite';
import { world } from './scripts/world.mjs';

/** Where `npm run dev` finds the API: the mock of dev/mock.mjs, or a real `metka serve`. */
const API = process.env['METKA_WEB'] ?? 'http://127.0.0.1:8091';

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
  },
  server: { host: '127.0.0.1', proxy: { '/api': API, '/debug': API } },
});
