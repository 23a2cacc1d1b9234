// The real binary, on free ports and in a data directory of its own.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { until } from './poll.mjs';

const BINARY = resolve(process.env.METKA_BIN ?? join(import.meta.dirname, '../../../target/release/metka'));
/** Without this suite's own settings, which the binary would take for keys of its configuration. */
const { METKA_BIN, METKA_CHROMIUM, ...ENVIRONMENT } = process.env;
/** So much of what the server logged is shown with a failure, in characters. */
const LOG_TAIL = 3000;
/** The engine starts and the demo's months are loaded meanwhile, on a machine that may be busy. */
const START = 120_000;

export class Metka {
  #process;
  #log = [];

  /**
   * Starts `metka serve` with a site whose hosts are this machine, and what `more` and `collect` add to the configuration;
   * with `demo` also the demo clinic, whose months of visitors take a while to load.
   */
  static async start({ site, more = '', collect = '', demo = false }) {
    if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: run make build, or name it in METKA_BIN`);
    const metka = new Metka();
    metka.dir = mkdtempSync(join(tmpdir(), 'metka-browser-'));
    metka.config = join(metka.dir, 'metka.toml');
    writeFileSync(
      metka.config,
      `[collect]
listen = "127.0.0.1:0"
${collect}[web]
listen = "127.0.0.1:0"
[ship]
interval = "200ms"
[[site]]
id = "${site}"
hosts = ["127.0.0.1", "localhost"]
timezone = "Europe/Moscow"
# The journey is of four people, and reads exact numbers as a viewer.
min_group = 0
${more}`,
    );
    metka.#process = spawn(BINARY, metka.#options('serve', ...(demo ? ['--demo'] : [])), { env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'] });
    metka.#process.stdout.on('data', data => metka.#log.push(String(data)));
    metka.#process.stderr.on('data', data => metka.#log.push(String(data)));
    metka.ended = new Promise(done => metka.#process.once('exit', (code, signal) => done(code ?? signal)));
    const early = metka.ended.then(code => {
      throw new Error(`serve ended with ${code}`);
    });
    early.catch(() => {});
    const line = name => new RegExp(`^${name} +(http://\\S+?)/?$`, 'm').exec(metka.log)?.[1];
    try {
      const addresses = () => line('dashboard') && line('collector') && (!demo || line('demo'));
      await Promise.race([early, until('the addresses that serve prints', addresses, START)]);
      metka.web = line('dashboard');
      metka.collector = line('collector');
      metka.demo = line('demo');
      const ready = async () => (await (await fetch(`${metka.web}/health`)).json()).engine === 'ready';
      await Promise.race([early, until('the engine', ready, START)]);
    } catch (error) {
      await metka.stop();
      throw new Error(`${error.message}\n${metka.log.slice(-LOG_TAIL)}`, { cause: error.cause });
    }
    return metka;
  }

  get log() {
    return this.#log.join('');
  }

  /** Runs a command beside the server, and returns what it printed. */
  run(args, input = '') {
    const done = spawnSync(BINARY, this.#options(...args), { env: ENVIRONMENT, input, encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`metka ${args.join(' ')}: ${done.status}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  }

  token(role = 'owner') {
    return JSON.parse(this.run(['token', 'create', '--name', `browser-${role}`, '--role', role, '--json'])).token;
  }

  /** Asks one stats question; returns the rows as `[...dimensions, ...metrics]`. */
  async query(token, question) {
    const response = await fetch(`${this.web}/api/v2/query`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(question),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${response.status}: ${JSON.stringify(answer)} to ${JSON.stringify(question)}`);
    return answer.results.map(row => [...row.dimensions, ...row.metrics]);
  }

  /** What became of a site's hits, once storage has all that were kept. */
  settled(site, patience) {
    return until(`storage to have the hits of ${site}`, () => {
      const counts = JSON.parse(this.run(['status', '--json'])).sites[site];
      return counts.waiting === 0 && counts.in_flight === 0 && counts;
    }, patience);
  }

  /** Rows of a question put to the engine itself, past every API. */
  async rows(sql) {
    const secret = readFileSync(join(this.dir, 'data/engine/secret'), 'utf8').trim();
    const body = await new Promise((resolve, reject) => {
      const asked = request(
        { socketPath: join(this.dir, 'data/engine.sock'), method: 'POST', path: '/?default_format=JSONCompact', headers: { 'x-clickhouse-key': secret } },
        async answer => {
          let text = '';
          for await (const part of answer) text += part;
          if (answer.statusCode === 200) resolve(text);
          else reject(new Error(`${answer.statusCode}: ${text}`));
        },
      );
      asked.on('error', reject);
      asked.end(sql);
    });
    return JSON.parse(body).data;
  }

  async stop() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill('SIGTERM');
    const code = await this.ended;
    rmSync(this.dir, { recursive: true, force: true });
    return code;
  }

  #options(...args) {
    return [...args, '--config', this.config, '--data', join(this.dir, 'data')];
  }
}
