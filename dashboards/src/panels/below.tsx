/**
 * The place below the panels for what goes beyond breakdowns. Whoever builds
 * that has it loaded as a chunk of its own when it comes near the screen.
 */
import type { Session, Site } from '../api/types';
import type { Now } from '../model/period';
import type { View } from '../model/view';

export interface BelowProps {
  readonly site: Site;
  readonly session: Session;
  readonly view: View;
  readonly now: Now;
  /** Counts up when the numbers are to be asked anew. */
  readonly refresh: number;
  readonly onView: (view: View, how?: 'push' | 'replace') => void;
}

export function Below(_props: BelowProps) {
  return null;
}
