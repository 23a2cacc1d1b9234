/** A breakdown as a file: CSV as the server writes it, or JSON. */
import { useState } from 'preact/hooks';
import { askCsv } from '../api/client';
import { ask } from '../api/round';
import type { Breakdown } from '../model/panels';
import { daysAt, type Now } from '../model/period';
import { fileQuery } from '../model/questions';
import type { View } from '../model/view';
import { useWords } from '../words/language';
import { Icon } from './icons';
import { Popover } from './popover';
import { saveFile } from './save';

interface Props {
  readonly view: View;
  readonly now: Now;
  readonly breakdown: Breakdown;
  readonly title: string;
}

export function ExportButton({ view, now, breakdown, title }: Props) {
  const { t } = useWords();
  const [failed, setFailed] = useState(false);
  const save = async (format: 'csv' | 'json') => {
    setFailed(false);
    try {
      const query = fileQuery(view, now, breakdown);
      // Reading the server's text took the mark of its encoding away, which spreadsheets need.
      const text =
        format === 'csv' ? `\ufeff${await askCsv(query)}` : `${JSON.stringify(await ask(query), null, 2)}\n`;
      saveFile(fileName(view, now, breakdown.id), format, text);
    } catch {
      setFailed(true);
    }
  };
  const name = `${t('export.title')}: ${title}`;
  return (
    <Popover label={<Icon name="save" />} name={name} class="export" align="end" mark="export">
      {(close) => (
        <>
          {(['csv', 'json'] as const).map((format) => (
            <button
              key={format}
              type="button"
              data-item
              data-export={format}
              class="item"
              onClick={() => void save(format).then(close)}
            >
              {t(`export.${format}`)}
            </button>
          ))}
          {failed && (
            <p class="field-error" role="alert">
              {t('export.failed')}
            </p>
          )}
        </>
      )}
    </Popover>
  );
}

/** `metka-clinic-2026-03-01-2026-03-28-city` */
export function fileName(view: View, now: Now, what: string): string {
  const days = daysAt(view.period, now);
  const range = days ? `${days.from}-${days.to}` : 'all';
  return `metka-${view.site}-${range}-${what}`;
}
