/** A part of the app that is loaded when it is needed, and asked for again when that failed. */
import { useEffect, useState } from 'preact/hooks';

export interface Late<T> {
  readonly part: T | null;
  readonly error: unknown;
  readonly retry: () => void;
}

/** `load` is an `import()`; nothing is loaded while `wanted` is false. */
export function useLate<T>(load: () => Promise<T>, wanted = true): Late<T> {
  const [part, setPart] = useState<{ readonly loaded: T } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (!wanted) return;
    let here = true;
    setError(null);
    load().then(
      (loaded) => here && setPart({ loaded }),
      (failure: unknown) => here && setError(failure),
    );
    return () => {
      here = false;
    };
  }, [wanted, attempt]);
  return { part: part?.loaded ?? null, error, retry: () => setAttempt((count) => count + 1) };
}
