/** Asks before something that cannot be undone. */
import type { ComponentChildren } from 'preact';
import type { Deed } from '../../officer/parts/deed';
import { Dialog } from '../../officer/parts/dialog';
import { useOffice } from '../../officer/words';

interface Props {
  readonly name: string;
  readonly title: string;
  readonly lead: ComponentChildren;
  readonly action: string;
  readonly deed: Deed;
  readonly onDo: () => void;
  readonly onClose: () => void;
}

export function Confirm({ name, title, lead, action, deed, onDo, onClose }: Props) {
  const { t } = useOffice();
  return (
    <Dialog name={name} title={title} busy={deed.busy} onClose={onClose}>
      <p class="office-lead">{lead}</p>
      <p class="form-problem" role="alert" data-problem>
        {deed.problem}
      </p>
      <div class="office-buttons">
        <button type="button" class="button primary danger" data-confirmed aria-disabled={deed.busy} onClick={onDo}>
          {deed.busy ? t('form.busy') : action}
        </button>
        <button type="button" class="button" aria-disabled={deed.busy} onClick={() => !deed.busy && onClose()}>
          {t('form.cancel')}
        </button>
      </div>
    </Dialog>
  );
}
