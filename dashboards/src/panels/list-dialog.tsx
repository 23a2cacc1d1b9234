/** The full list of a breakdown: more rows, more numbers, a search. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Row, Value } from '../api/types';
import { useAnswer } from '../load';
import type { Breakdown } from '../model/panels';
import type { Days, Now } from '../model/period';
import { isTranslated } from '../model/dimensions';
import { LIST_ROWS, listQuery, moreOf } from '../model/questions';
import type { View } from '../model/view';
import { ExportButton } from '../parts/export-button';
import { Failure } from '../parts/failure';
import { Icon } from '../parts/icons';
import { useWords } from '../words/language';
import { Rows } from './rows';

/** A search waits this long for the next letter, in milliseconds. */
const TYPING_MS = 250;

interface Props {
  readonly title: string;
  readonly breakdown: Breakdown;
  readonly view: View;
  readonly now: Now;
  readonly days: Days | null;
  readonly visitors: Value;
  readonly onToggle: (value: string) => void;
  readonly onClose: () => void;
}

export function ListDialog({ title, breakdown, view, now, days, visitors, onToggle, onClose }: Props) {
  const words = useWords();
  const { t, format } = words;
  const dialog = useRef<HTMLDialogElement>(null);
  const [typed, setTyped] = useState('');
  const [search, setSearch] = useState('');
  const [page, setPage] = useState(0);
  const [earlier, setEarlier] = useState<readonly Row[]>([]);
  const load = useAnswer(listQuery(view, now, breakdown, page, search), `list ${breakdown.id} ${page}`, 0);

  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    // Nothing else is looked for, as when the list opens: pages that were turned meanwhile stay.
    if (typed.trim() === search) return undefined;
    const timer = setTimeout(() => {
      setSearch(typed.trim());
      setPage(0);
      setEarlier([]);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, search]);

  const found = load.answer?.results ?? [];
  const rows = [...earlier, ...found.slice(0, LIST_ROWS)].filter(
    (row) => !breakdown.hidden?.includes(row.dimensions[0] ?? ''),
  );
  // Values that are shown translated cannot be searched for by what is seen.
  // Where the guard of small counts holds, nothing that is typed is asked.
  const searchable = !now.guarded && !isTranslated(breakdown.dimension);
  const name = breakdown.id === 'page' ? title : (words.find(`tab.${breakdown.id}`) ?? title);

  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="list-title"
      data-list={breakdown.id}
      data-state={load.state}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <div class="dialog-inner">
        <header class="dialog-head">
          <div>
            <h2 id="list-title">{name === title ? title : `${title}: ${name}`}</h2>
            {days && <p>{format.days(days)}</p>}
          </div>
          {searchable && (
            <label class="search">
              <span class="visually-hidden">{t('list.search')}</span>
              <input
                type="search"
                placeholder={t('list.search')}
                value={typed}
                onInput={(event) => setTyped(event.currentTarget.value)}
              />
            </label>
          )}
          <ExportButton view={view} now={now} breakdown={breakdown} title={name} />
          <button type="button" class="icon-button" aria-label={t('app.close')} onClick={() => dialog.current?.close()}>
            <Icon name="close" />
          </button>
        </header>
        <div class="dialog-body" tabIndex={0} role="region" aria-labelledby="list-title">
          {load.state === 'failed' ? (
            <Failure error={load.error} retry={load.retry} />
          ) : rows.length > 0 ? (
            <Rows
              breakdown={breakdown}
              metrics={moreOf(view, breakdown)}
              rows={rows}
              visitors={visitors}
              view={view}
              few={load.answer?.meta.guard?.k ?? null}
              full
              onToggle={onToggle}
            />
          ) : (
            <p class="panel-empty">{t(load.state === 'loading' ? 'app.loading' : 'panel.empty')}</p>
          )}
        </div>
        <footer class="dialog-foot">
          <p role="status">{t('list.count', { count: rows.length, number: format.number(rows.length) })}</p>
          {found.length > LIST_ROWS && (
            <button
              type="button"
              class="button"
              onClick={() => {
                setEarlier(rows);
                setPage(page + 1);
              }}
            >
              {t('list.more')}
            </button>
          )}
        </footer>
      </div>
    </dialog>
  );
}
