/** What leaves the page: a file that the browser saves, a text that is copied. */
import { useState } from 'preact/hooks';
import { Icon } from '../../parts/icons';
import { useOffice } from '../words';

export { saveFile, type FileFormat } from '../../parts/save';

/** A moment as a part of a file's name. */
export function fileMoment(now: Date): string {
  return now.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
}

export function Copy({ text, name }: { readonly text: string; readonly name?: string }) {
  const { t } = useOffice();
  const [copied, setCopied] = useState('');
  const done = copied === text;
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(text);
  };
  return (
    <button
      type="button"
      class="button"
      data-copy
      aria-label={name === undefined ? undefined : `${t(done ? 'empty.copied' : 'empty.copy')}: ${name}`}
      onClick={() => void copy().catch(() => setCopied(''))}
    >
      <Icon name={done ? 'check' : 'copy'} />
      <span aria-live="polite">{t(done ? 'empty.copied' : 'empty.copy')}</span>
    </button>
  );
}
