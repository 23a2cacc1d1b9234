/** What leaves the page: a file that the browser saves, a text that is copied. */
import { useState } from 'preact/hooks';
import { Icon } from '../../parts/icons';
import { useOffice } from '../words';

const TYPES = { json: 'application/json', csv: 'text/csv;charset=utf-8', html: 'text/html;charset=utf-8' } as const;

export type FileFormat = keyof typeof TYPES;

/** Has the browser save a text as a file. The name must name nobody. */
export function saveFile(name: string, format: FileFormat, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: TYPES[format] }));
  const link = document.createElement('a');
  link.href = address;
  link.download = `${name}.${format}`;
  document.body.append(link);
  link.click();
  link.remove();
  // The browser has begun to read it by the next turn of its loop, whenever that is.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

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
