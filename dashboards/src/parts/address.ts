/** The view and the address, which say the same. */
import { useCallback, useEffect, useState } from 'preact/hooks';
import { readView, writeView, type View } from '../model/view';

/** `closer` is a step into a part of the graph, which Escape takes back. */
export type How = 'push' | 'replace' | 'closer';

export interface Address {
  readonly view: View;
  /** The view is a closer look at the one before it in the browser's history. */
  readonly closer: boolean;
  readonly onView: (view: View, how?: How) => void;
}

export function useAddress(): Address {
  const [held, setHeld] = useState(look);
  useEffect(() => {
    const back = () => setHeld(look());
    window.addEventListener('popstate', back);
    return () => window.removeEventListener('popstate', back);
  }, []);
  const onView = useCallback((view: View, how: How = 'push') => {
    // The path stays: a shared link has one of its own.
    const address = `${location.pathname}${writeView(view)}`;
    if (how === 'replace') history.replaceState(history.state, '', address);
    else history.pushState({ closer: how === 'closer' }, '', address);
    setHeld({ view, closer: how === 'replace' ? isCloser() : how === 'closer' });
  }, []);
  return { ...held, onView };
}

function look(): { readonly view: View; readonly closer: boolean } {
  return { view: readView(location.search), closer: isCloser() };
}

function isCloser(): boolean {
  const state: unknown = history.state;
  return typeof state === 'object' && state !== null && 'closer' in state && state.closer === true;
}
