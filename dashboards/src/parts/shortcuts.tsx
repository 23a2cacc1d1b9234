/** Keys that do something at once, and the sheet that lists them. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { KEY_GROUPS, shortcutOf, type Shortcut } from '../model/shortcuts';
import { initialKeys, keepKeys } from '../settings';
import { useWords } from '../words/language';
import { Icon } from './icons';

/** Calls `act` for a key, unless somebody is typing, a dialog is open, or keys are switched off. */
export function useShortcuts(guarded: boolean, act: (shortcut: Shortcut, nth: number) => void): void {
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.repeat || !initialKeys() || isTaken(event.target)) return;
      const found = shortcutOf(event, guarded);
      if (!found) return;
      event.preventDefault();
      latest.current(found.shortcut, found.nth);
    };
    document.addEventListener('keydown', press);
    return () => document.removeEventListener('keydown', press);
  }, [guarded]);
}

/** Whether a key belongs to something else. */
function isTaken(target: EventTarget | null): boolean {
  if (document.querySelector('dialog[open]')) return true;
  return target instanceof HTMLElement && target.matches('input, select, textarea, [contenteditable]');
}

interface Props {
  readonly guarded: boolean;
  readonly onClose: () => void;
}

export function ShortcutsDialog({ guarded, onClose }: Props) {
  const { t } = useWords();
  const dialog = useRef<HTMLDialogElement>(null);
  const [on, setOn] = useState(initialKeys);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      class="dialog narrow"
      aria-labelledby="keys-title"
      data-keys
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <div class="dialog-inner">
        <header class="dialog-head">
          <h2 id="keys-title">{t('keys.title')}</h2>
          <button type="button" class="icon-button" aria-label={t('app.close')} onClick={() => dialog.current?.close()}>
            <Icon name="close" />
          </button>
        </header>
        <div class="dialog-body keys" tabIndex={0} role="region" aria-labelledby="keys-title">
          <label class="radio keys-switch">
            <input
              type="checkbox"
              data-keys-on
              checked={on}
              onChange={(event) => {
                keepKeys(event.currentTarget.checked);
                setOn(event.currentTarget.checked);
              }}
            />
            {t('keys.on')}
          </label>
          {KEY_GROUPS.map((group) => (
            <section key={group.id} class="keys-group" data-off={!on}>
              <h3>{t(`keys.group_${group.id}`)}</h3>
              <dl>
                {group.keys
                  .filter((key) => !(key.exact && guarded))
                  .map((key) => (
                    <div key={key.shortcut}>
                      <dt>{t(`keys.${key.shortcut}`)}</dt>
                      <dd>
                        <kbd>{key.shown}</kbd>
                      </dd>
                    </div>
                  ))}
              </dl>
            </section>
          ))}
          <section class="keys-group">
            <h3>{t('keys.group_graph')}</h3>
            <dl>
              {(['arrows', 'enter', 'escape'] as const).map((key) => (
                <div key={key}>
                  <dt>{t(`keys.${key}`)}</dt>
                  <dd>
                    <kbd>{{ arrows: '← →', enter: 'Enter', escape: 'Esc' }[key]}</kbd>
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        </div>
      </div>
    </dialog>
  );
}
