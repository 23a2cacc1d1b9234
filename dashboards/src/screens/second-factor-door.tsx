/** The own second factor from the dashboard's menu, loaded when it is opened: everybody may have one. */
import { Failure } from '../parts/failure';
import { useLate } from '../parts/late';

export function SecondFactorDoor({ onClose }: { readonly onClose: () => void }) {
  const { part, error, retry } = useLate(() => import('../officer/second-factor-dialog'));
  if (part) return <part.SecondFactorDialog onClose={onClose} />;
  return error === null ? null : <Failure error={error} retry={retry} />;
}
