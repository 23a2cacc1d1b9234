/**
 * Focus that is not lost: when what had it goes away with a change of the page, the
 * browser gives it to nothing, and whoever works by keyboard begins at the top again.
 */
import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

/** What had the focus in `part` is gone: `placeOf` gets it, unless something else has taken it. */
export function useKeptFocus(part: RefObject<HTMLElement | null>, placeOf: (part: HTMLElement) => HTMLElement): void {
  // Asked while rendering: afterwards it may be gone.
  const before = document.activeElement;
  const had = before !== null && part.current?.contains(before) === true;
  const byKeyboard = had && before.matches(':focus-visible');
  useEffect(() => {
    const now = part.current;
    if (!had || !now || (document.activeElement !== null && document.activeElement !== document.body)) return;
    const place = placeOf(now);
    place.tabIndex = -1;
    // Nothing moves under a pointer; whoever has none must see where they are.
    place.focus({ preventScroll: !byKeyboard });
  });
}

/** The heading of a part, inside it or above it; the part itself where there is none. */
export function headingOf(part: HTMLElement): HTMLElement {
  return part.querySelector<HTMLElement>('h2') ?? part.closest('section')?.querySelector<HTMLElement>('h2') ?? part;
}
