/**
 * Questions in, answers out, as a hook: the state of each region of the page.
 * All that are asked at once go in one request (`api/round.ts`); each has its
 * own state all the same, and a failed one shows its own error.
 *
 * While a new question is under way the last answer of the same `shape` stays
 * (shown dimmed) instead of a flash of grey; a refresh of the same question
 * stays silent. Answers are kept for going back and forth, a bounded number.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api/client';
import { ask } from './api/round';
import type { Answer, Query } from './api/types';

/** Answers kept for going back: about ten looks at a dashboard of twelve questions. */
const MAX_KEPT = 120;

export interface Load {
  readonly state: 'loading' | 'ready' | 'failed';
  /** While loading: the answer to the question before, if of the same shape. */
  readonly answer: Answer | null;
  readonly error: unknown;
  readonly retry: () => void;
}

const kept = new Map<string, Answer>();

/** Forgets all answers: another person may sign in next. */
export function forgetAnswers(): void {
  kept.clear();
}

interface Held {
  /** The question and its shape that this belongs to. */
  readonly key: string | null;
  readonly shape: string;
  readonly answer: Answer | null;
  readonly error: unknown;
}

/**
 * Asks `query` (null: nothing to ask, ready at once) now and whenever it or
 * `refresh` changes. `shape` names what the answer's columns mean.
 */
export function useAnswer(query: Query | null, shape: string, refresh: number): Load {
  const key = query && JSON.stringify(query);
  const [held, setHeld] = useState<Held>({ key: null, shape, answer: null, error: null });
  const [attempt, setAttempt] = useState(0);
  const retry = useCallback(() => {
    setHeld((before) => ({ ...before, key: null, error: null }));
    setAttempt((count) => count + 1);
  }, []);
  const latest = useRef(key);
  latest.current = key;

  useEffect(() => {
    if (key === null) return;
    const abort = new AbortController();
    ask(JSON.parse(key) as Query, abort.signal).then(
      (answer) => {
        keep(key, answer);
        if (latest.current === key) setHeld({ key, shape, answer, error: null });
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        // A failed refresh leaves the numbers that are there.
        setHeld((before) => (before.key === key && before.answer ? before : { key, shape, answer: null, error }));
      },
    );
    return () => abort.abort();
  }, [key, shape, refresh, attempt]);

  if (key === null) return { state: 'ready', answer: null, error: null, retry };
  if (held.key === key) {
    return { state: held.error === null ? 'ready' : 'failed', answer: held.answer, error: held.error, retry };
  }
  const before = kept.get(key);
  if (before) return { state: 'loading', answer: before, error: null, retry };
  return { state: 'loading', answer: held.shape === shape ? held.answer : null, error: null, retry };
}

/** Words for a failure: the key of its sentence, and what the server said if that helps. */
export function failureOf(error: unknown): {
  readonly key: `error.${ApiError['kind'] | 'unknown'}`;
  readonly detail: string;
} {
  if (!(error instanceof ApiError)) return { key: 'error.unknown', detail: '' };
  return { key: `error.${error.kind}`, detail: error.kind === 'refused' ? error.detail : '' };
}

function keep(key: string, answer: Answer): void {
  kept.delete(key);
  kept.set(key, answer);
  for (const oldest of kept.keys()) {
    if (kept.size <= MAX_KEPT) break;
    kept.delete(oldest);
  }
}
