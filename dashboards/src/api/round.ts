/**
 * The questions of one moment travel together: whatever is asked in one turn of
 * the browser's loop goes as one `POST /api/v2/queries`, so that a whole page
 * is one request. Each question keeps its own answer and its own failure.
 *
 * In: questions, each with the signal of who asked. Out: a promise for each. A
 * question that is asked twice in a round is sent once. A request is called off
 * when nobody waits for any part of it. More than [`MAX_ROUND`] questions go as
 * several requests.
 */
import { askAll, failureOfStatus } from './client';
import type { Answer, Query } from './types';
import { working } from './work';

/** The server takes so many questions in a request. */
export const MAX_ROUND = 32;

interface Waiting {
  readonly key: string;
  readonly query: Query;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

let waiting: Waiting[] = [];

/** Asks one question together with the others of this turn. */
export function ask(query: Query, signal?: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    if (waiting.length === 0) setTimeout(setOut, 0);
    waiting.push({ key: JSON.stringify(query), query, signal, resolve, reject });
  });
}

function setOut(): void {
  const all = waiting.filter(({ signal }) => !signal?.aborted);
  waiting = [];
  for (const [site, ofSite] of groupBy(all, ({ query }) => query.site_id)) {
    const questions = [...groupBy(ofSite, ({ key }) => key).values()];
    for (let at = 0; at < questions.length; at += MAX_ROUND) void send(site, questions.slice(at, at + MAX_ROUND));
  }
}

/** One request; each question with all who wait for it. */
async function send(site: string, questions: readonly (readonly Waiting[])[]): Promise<void> {
  const everyone = questions.flat();
  const abort = new AbortController();
  const leave = () => {
    if (everyone.every(({ signal }) => signal?.aborted)) abort.abort();
  };
  for (const { signal } of everyone) signal?.addEventListener('abort', leave);
  const done = working();
  try {
    const queries = questions.flatMap((each) => each[0]?.query ?? []);
    const outcomes = await askAll(site, queries, abort.signal);
    questions.forEach((all, at) => {
      const outcome = outcomes[at] ?? { status: 500, error: '' };
      for (const { resolve, reject } of all) {
        if ('answer' in outcome) resolve(outcome.answer);
        else reject(failureOfStatus(outcome.status, outcome.error));
      }
    });
  } catch (error) {
    for (const { reject } of everyone) reject(error);
  } finally {
    done();
    for (const { signal } of everyone) signal?.removeEventListener('abort', leave);
  }
}

function groupBy<T>(all: readonly T[], keyOf: (each: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const each of all) {
    const group = groups.get(keyOf(each));
    if (group) group.push(each);
    else groups.set(keyOf(each), [each]);
  }
  return groups;
}
