/**
 * A question before something that cannot be undone. The browser keeps the focus
 * inside and gives it back to where it was.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { Icon } from '../../parts/icons';
import { useOffice } from '../words';

interface Props {
  readonly name: string;
  readonly title: string;
  /** While true the dialog stays: what it does is under way. */
  readonly busy?: boolean;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

export function Dialog({ name, title, busy = false, onClose, children }: Props) {
  const { t } = useOffice();
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const before = useRef(document.activeElement);
  const id = useId();
  useEffect(() => {
    dialog.current?.showModal();
    // What is asked is heard before the fields.
    heading.current?.focus();
    return () => {
      if (before.current instanceof HTMLElement) before.current.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class="dialog narrow"
      aria-labelledby={id}
      data-dialog={name}
      onCancel={(event) => busy && event.preventDefault()}
      onClose={onClose}
    >
      <div class="dialog-inner">
        <header class="dialog-head">
          <h2 id={id} ref={heading} tabIndex={-1}>
            {title}
          </h2>
          <button
            type="button"
            class="icon-button"
            aria-label={t('app.close')}
            aria-disabled={busy}
            onClick={() => !busy && onClose()}
          >
            <Icon name="close" />
          </button>
        </header>
        <div class="dialog-body office-dialog">{children}</div>
      </div>
    </dialog>
  );
}
