#!/usr/bin/env node
// All Rust tests: built once, then their binaries beside each other, each with the output of its tests.
//
//   node tests/rust.mjs [LANES]
//
// As `cargo test --release`, but for three things that cost time and prove nothing:
// - Our own package is built with opt-level 1 (its dependencies as in the release): compiling some thirty test binaries
//   takes less than half as long, and most of their time is the engine's and the disk's. The release binary itself is what
//   the tests in Chromium, the clients and the load generator run against.
// - Two binaries run at once, since most of them wait most of the time. Those of ALONE measure, fill disks or end processes
//   under load: they have the machine for themselves, after the others.
// - The longest begin first: so long as each took the last time, by target/tests-took.json.
//
// The exit code is 1 if any test failed; all are run.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const TOOK = join(ROOT, 'target/tests-took.json');
const ALONE = ['faults', 'faults_disk', 'hostile_http'];
const PACKAGE = 'profile.release.package.metka';
const BUILD = ['--release', '--locked', '--config', `${PACKAGE}.opt-level=1`, '--config', `${PACKAGE}.debug=0`];
const lanes = Number(process.argv[2] ?? 2);

/** Runs a command; gives its exit code and what it wrote. */
const run = (command, args, { stderr = 'pipe' } = {}) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', stderr], env: { ...process.env, CARGO_MANIFEST_DIR: ROOT } });
    const written = [];
    child.stdout.on('data', data => written.push(data));
    child.stderr?.on('data', data => written.push(data));
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code: code ?? signal, text: Buffer.concat(written).toString() }));
  });

const seconds = since => Math.round((Date.now() - since) / 100) / 10;

const begun = Date.now();
const built = await run('cargo', ['test', ...BUILD, '--no-run', '--message-format=json-render-diagnostics'], { stderr: 'inherit' });
if (built.code !== 0) process.exit(1);
const binaries = built.text
  .split('\n')
  .filter(line => line.startsWith('{'))
  .map(line => JSON.parse(line))
  .filter(({ reason, profile, executable }) => reason === 'compiler-artifact' && profile.test && executable)
  .map(({ target, executable }) => ({ name: target.kind.includes('bin') ? `${target.name} (main)` : target.name, executable }));
console.log(`${binaries.length} test binaries built in ${seconds(begun)} s`);

const took = existsSync(TOOK) ? JSON.parse(readFileSync(TOOK, 'utf8')) : {};
const failed = [];
let tests = 0;

async function pass({ name, executable }) {
  const start = Date.now();
  const { code, text } = await run(executable, ['--show-output']);
  took[name] = seconds(start);
  const [, count = '0'] = /^test result: \w+\. (\d+) passed/m.exec(text) ?? [];
  tests += Number(count);
  if (code !== 0) failed.push(name);
  console.log(`\n--- ${name}, ${took[name]} s, exit code ${code}\n${text.trimEnd()}`);
}

async function lane(queue) {
  for (let next = queue.shift(); next; next = queue.shift()) await pass(next);
}

const longestFirst = binaries.toSorted((a, b) => (took[b.name] ?? Infinity) - (took[a.name] ?? Infinity));
const together = longestFirst.filter(({ name }) => !ALONE.includes(name));
await Promise.all(Array.from({ length: lanes }, () => lane(together)));
await lane(longestFirst.filter(({ name }) => ALONE.includes(name)));
writeFileSync(TOOK, `${JSON.stringify(took, null, 2)}\n`);

const slowest = Object.entries(took).toSorted(([, a], [, b]) => b - a).slice(0, 8);
console.log(`\n${tests} Rust tests passed in ${binaries.length} binaries; the slowest: ${slowest.map(([name, took]) => `${name} ${took} s`).join(', ')}`);
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}`);
  process.exit(1);
}
