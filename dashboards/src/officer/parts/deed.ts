/**
 * A deed: something that a button or a form does, one at a time, with what came
 * of it or why it was not done. Whoever leaves is told nothing more: a deed that
 * only reads takes the signal, and ends with it; one that changes something is
 * better done to its end.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../../api/client';
import { failureOf } from '../../load';
import { FormProblem } from '../model/forms';
import type { OfficeWords } from '../words';

/** What the server says with a 403, and what is told in its place. */
const FORBIDDEN = [
  [/needs? the role (.+)$/, 'forbidden.role'],
  [/^the current password is wrong$/, 'forbidden.password'],
  [/ was made by somebody else$/, 'forbidden.foreign'],
  [/^the request comes from another site$/, 'forbidden.origin'],
] as const;

export interface Deed {
  readonly busy: boolean;
  /** Why it was not done, in words; empty if it was, or nothing was tried. */
  readonly problem: string;
  /** The name of the field that is wrong, if it is one. */
  readonly field: string;
  /** Does it, unless one is under way; true if it was done. The signal tells that its place on the page is gone. */
  readonly run: (deed: (gone: AbortSignal) => Promise<void>) => Promise<boolean>;
  readonly forget: () => void;
}

/** `said` puts what the server says into the reader's words, where a page has them. */
export function useDeed(words: OfficeWords, said: (detail: string) => string = asItCame): Deed {
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState({ problem: '', field: '' });
  const under = useRef(false);
  const [leaving] = useState(() => new AbortController());
  useEffect(() => () => leaving.abort(), [leaving]);
  const run = useCallback(
    async (deed: (gone: AbortSignal) => Promise<void>): Promise<boolean> => {
      if (under.current) return false;
      under.current = true;
      setBusy(true);
      setWrong({ problem: '', field: '' });
      try {
        await deed(leaving.signal);
        return true;
      } catch (error) {
        if (!leaving.signal.aborted) {
          setWrong({ problem: problemOf(words, error, said), field: error instanceof FormProblem ? error.field : '' });
        }
        return false;
      } finally {
        under.current = false;
        if (!leaving.signal.aborted) setBusy(false);
      }
    },
    [words, said, leaving],
  );
  const forget = useCallback(() => setWrong({ problem: '', field: '' }), []);
  return { busy, ...wrong, run, forget };
}

/** A failure in words; what the server said stands behind them, where they do not say it themselves. */
export function problemOf(words: OfficeWords, error: unknown, said = asItCame): string {
  if (error instanceof FormProblem) return words.t(error.key);
  const { key } = failureOf(error);
  const detail = error instanceof ApiError ? error.detail : '';
  // That one is signed out, is all there is to say of it.
  if (detail === '' || key === 'error.signed-out') return words.t(key);
  const quoted = words.t('form.refused', { sentence: words.t(key), detail: said(detail) });
  return (key === 'error.forbidden' && forbidden(words, detail)) || quoted;
}

/** Why somebody may not, in words of ours; empty if the server says what none of them says. */
function forbidden({ t }: OfficeWords, detail: string): string {
  for (const [pattern, key] of FORBIDDEN) {
    const found = pattern.exec(detail);
    if (found) return t(key, { roles: (found[1] ?? '').split(' or ').join(t('forbidden.or')) });
  }
  return '';
}

const asItCame = (detail: string): string => detail;
