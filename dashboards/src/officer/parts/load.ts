/**
 * One question of the officer's page, as a hook: its state, its answer, a way to
 * ask again. The last answer stays while the same question is asked anew.
 */
import { useCallback, useEffect, useState } from 'preact/hooks';

export interface Loaded<T> {
  readonly state: 'loading' | 'ready' | 'failed';
  readonly answer: T | null;
  readonly error: unknown;
  /** Asks again; the answer that is there stays meanwhile. */
  readonly again: () => void;
  /** Puts an answer in the place of the one that is there. */
  readonly put: (answer: T) => void;
}

interface Held<T> {
  readonly key: string;
  readonly answer: T | null;
  readonly error: unknown;
}

/** Asks whenever `key`, which names the question, changes. */
export function useLoaded<T>(key: string, ask: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [held, setHeld] = useState<Held<T> | null>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    ask(abort.signal).then(
      (answer) => !abort.signal.aborted && setHeld({ key, answer, error: null }),
      (error: unknown) => !abort.signal.aborted && setHeld({ key, answer: null, error }),
    );
    return () => abort.abort();
  }, [key, attempt]);
  const again = useCallback(() => {
    setHeld((before) => (before?.error ? null : before));
    setAttempt((count) => count + 1);
  }, []);
  const put = useCallback((answer: T) => setHeld({ key, answer, error: null }), [key]);
  if (!held || held.key !== key) return { state: 'loading', answer: null, error: null, again, put };
  return { state: held.error === null ? 'ready' : 'failed', answer: held.answer, error: held.error, again, put };
}
