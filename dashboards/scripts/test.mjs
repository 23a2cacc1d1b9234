/**
 * Compiles test/*.test.ts with Vite (already here, so no second compiler) into
 * node_modules/.tests and runs Node's own test runner on them.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, 'node_modules', '.tests');
const tests = readdirSync(join(root, 'test')).filter((name) => name.endsWith('.test.ts'));

rmSync(out, { recursive: true, force: true });
await build({
  root,
  configFile: join(root, 'vite.config.ts'),
  logLevel: 'warn',
  build: {
    ssr: true,
    outDir: out,
    emptyOutDir: true,
    minify: false,
    rollupOptions: {
      input: Object.fromEntries(tests.map((name) => [basename(name, '.ts'), join(root, 'test', name)])),
      output: { entryFileNames: '[name].mjs' },
    },
  },
});
const files = readdirSync(out)
  .filter((name) => name.endsWith('.test.mjs'))
  .map((name) => join(out, name));
const run = spawnSync(process.execPath, ['--test', ...files], { stdio: 'inherit' });
process.exit(run.status ?? 1);
