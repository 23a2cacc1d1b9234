/**
 * A button that opens a small panel under itself. Escape, a click elsewhere and
 * moving the focus out close it; Escape gives the focus back to the button.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';

interface Props {
  readonly label: ComponentChildren;
  /** The name of the button where its content does not say it. */
  readonly name?: string;
  readonly class?: string;
  readonly align?: 'start' | 'end';
  /** Opens it, or closes it, from elsewhere: whenever this number changes. */
  readonly toggle?: number;
  /** A mark for tests and styles. */
  readonly mark?: string;
  readonly children: (close: () => void) => ComponentChildren;
}

export function Popover({ label, name, class: className = '', align = 'start', toggle = 0, mark, children }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  const toggled = useRef(toggle);

  useEffect(() => {
    if (toggled.current === toggle) return;
    toggled.current = toggle;
    setOpen((before) => !before);
    button.current?.focus();
  }, [toggle]);

  const close = () => {
    setOpen(false);
    button.current?.focus();
  };

  useEffect(() => {
    if (!open) return;
    const elsewhere = (event: Event) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener('pointerdown', elsewhere);
    document.addEventListener('focusin', elsewhere);
    return () => {
      document.removeEventListener('pointerdown', elsewhere);
      document.removeEventListener('focusin', elsewhere);
    };
  }, [open]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (!open) return;
    if (event.key === 'Escape') {
      event.stopPropagation();
      close();
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const items = [...(root.current?.querySelectorAll<HTMLElement>('[data-item]') ?? [])];
      const at = items.findIndex((item) => item === document.activeElement);
      if (items.length === 0 || document.activeElement instanceof HTMLInputElement) return;
      event.preventDefault();
      const next = event.key === 'ArrowDown' ? at + 1 : at < 0 ? items.length - 1 : at - 1;
      items[(next + items.length) % items.length]?.focus();
    }
  };

  return (
    <div class={`popover ${className}`} ref={root} onKeyDown={onKeyDown}>
      <button
        type="button"
        ref={button}
        class="popover-button"
        data-opens={mark}
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        aria-label={name}
        onClick={() => setOpen(!open)}
      >
        {label}
      </button>
      {open && (
        <div id={id} class="popover-panel" data-align={align}>
          {children(close)}
        </div>
      )}
    </div>
  );
}
