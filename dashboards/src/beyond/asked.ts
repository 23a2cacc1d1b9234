/**
 * A question of a panel, as a hook. A refresh of the same question is silent; while
 * another is under way the last answer stays, dimmed.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

export interface Asked<T> {
  readonly state: 'loading' | 'ready' | 'failed';
  /** While loading: the answer to the question before. */
  readonly answer: T | null;
  readonly error: unknown;
  /** Asks again; the answer that is there stays meanwhile. */
  readonly again: () => void;
}

interface Held<T> {
  readonly key: string;
  readonly answer: T | null;
  readonly error: unknown;
}

/** Asks whenever `key`, which names the question, or `refresh` changes; null asks nothing. */
export function useAsked<T>(key: string | null, refresh: number, ask: (signal: AbortSignal) => Promise<T>): Asked<T> {
  const [held, setHeld] = useState<Held<T>>({ key: '', answer: null, error: null });
  const [attempt, setAttempt] = useState(0);
  const latest = useRef(ask);
  latest.current = ask;
  const again = useCallback(() => {
    setHeld((before) => (before.error === null ? before : { ...before, key: '', error: null }));
    setAttempt((count) => count + 1);
  }, []);

  useEffect(() => {
    if (key === null) return;
    const abort = new AbortController();
    latest.current(abort.signal).then(
      (answer) => !abort.signal.aborted && setHeld({ key, answer, error: null }),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        // A failed refresh leaves the numbers that are there.
        setHeld((before) => (before.key === key && before.answer ? before : { key, answer: null, error }));
      },
    );
    return () => abort.abort();
  }, [key, refresh, attempt]);

  if (key === null) return { state: 'ready', answer: null, error: null, again };
  if (held.key !== key) return { state: 'loading', answer: held.answer, error: null, again };
  return { state: held.error === null ? 'ready' : 'failed', answer: held.answer, error: held.error, again };
}
