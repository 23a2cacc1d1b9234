/**
 * One question of the officer's page, as a hook: its state, its answer, a way to
 * ask again. The last answer stays while the same question is asked anew, and while
 * another of the same `shape` is asked.
 */
import { useCallback, useEffect, useState } from 'preact/hooks';

export interface Loaded<T> {
  readonly state: 'loading' | 'ready' | 'failed';
  /** While loading: the answer to the question before, if of the same shape. */
  readonly answer: T | null;
  readonly error: unknown;
  /** Asks again; the answer that is there stays meanwhile. */
  readonly again: () => void;
  /** Puts an answer in the place of the one that is there. */
  readonly put: (answer: T) => void;
}

interface Held<T> {
  readonly key: string;
  readonly shape: string | undefined;
  readonly answer: T | null;
  readonly error: unknown;
}

/**
 * Asks whenever `key`, which names the question, changes. A `shape` says that answers can stand for each other for as
 * long as one is waited for: what an answer was asked about has to be in it then.
 */
export function useLoaded<T>(key: string, ask: (signal: AbortSignal) => Promise<T>, shape?: string): Loaded<T> {
  const [held, setHeld] = useState<Held<T> | null>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    ask(abort.signal).then(
      (answer) => !abort.signal.aborted && setHeld({ key, shape, answer, error: null }),
      (error: unknown) => !abort.signal.aborted && setHeld({ key, shape, answer: null, error }),
    );
    return () => abort.abort();
  }, [key, attempt]);
  const again = useCallback(() => {
    setHeld((before) => (before?.error ? null : before));
    setAttempt((count) => count + 1);
  }, []);
  const put = useCallback((answer: T) => setHeld({ key, shape, answer, error: null }), [key, shape]);
  if (!held || held.key !== key) {
    const before = shape !== undefined && held?.shape === shape ? held.answer : null;
    return { state: 'loading', answer: before, error: null, again, put };
  }
  return { state: held.error === null ? 'ready' : 'failed', answer: held.answer, error: held.error, again, put };
}
