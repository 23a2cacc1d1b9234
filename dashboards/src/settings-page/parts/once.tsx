/** What is shown once and never again: an address, a token. It stays until it is said to be copied. */
import { useEffect, useId, useRef } from 'preact/hooks';
import { Copy } from '../../officer/parts/file';

interface Props {
  readonly name: string;
  readonly lead: string;
  readonly label: string;
  readonly text: string;
  readonly done: string;
  readonly onDone: () => void;
}

export function Once({ name, lead, label, text, done, onDone }: Props) {
  const id = useId();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <section class="card office-card once" aria-labelledby={id} data-once={name}>
      <h2 id={id} ref={heading} tabIndex={-1}>
        {lead}
      </h2>
      <div class="code">
        <pre tabIndex={0} role="region" aria-label={label}>
          <code data-secret-text>{text}</code>
        </pre>
        <Copy text={text} name={label} />
      </div>
      <button type="button" class="button" data-once-done onClick={onDone}>
        {done}
      </button>
    </section>
  );
}
