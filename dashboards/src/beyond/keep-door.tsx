/** The menus of segments and notes, loaded once what the site keeps is known. */
import type { Kept } from '../api/kept';
import { useLate } from '../parts/late';
import type { Asked } from './asked';
import type { KeepProps } from './keep';

type Props = Omit<KeepProps, 'kept' | 'onKept'> & { readonly kept: Asked<Kept> };

export function KeepDoor({ kept, ...props }: Props) {
  const { part } = useLate(() => import('./keep'), kept.answer !== null);
  if (!part || !kept.answer) return null;
  return <part.Keep {...props} kept={kept.answer} onKept={kept.again} />;
}
