/** How many people are on the site now, and, opened, on which pages and from where. */
import { useEffect, useState } from 'preact/hooks';
import { live } from '../api/client';
import type { Live, LiveNumber, LiveRow } from '../api/types';
import { labelOf } from '../words/labels';
import { NO_NUMBER } from '../words/formats';
import { useWords } from '../words/language';
import { Popover } from './popover';

/** How often the live count is asked, in milliseconds. */
const LIVE_EVERY_MS = 10_000;

/** "<10" takes the form of many. */
const MANY = 10;

interface Props {
  readonly site: string;
  /** Changes when the live view is to open or close from elsewhere. */
  readonly toggle: number;
  readonly onPage: (page: string) => void;
}

export function LiveCount({ site, toggle, onPage }: Props) {
  const { t, format } = useWords();
  const [seen, setSeen] = useState<Live | null>(null);
  const [state, setState] = useState<'loading' | 'ready' | 'failed'>('loading');

  useEffect(() => {
    const abort = new AbortController();
    const look = () => {
      if (document.visibilityState !== 'visible') return;
      live(site, abort.signal).then(
        (found) => {
          setSeen(found);
          setState('ready');
        },
        () => !abort.signal.aborted && setState('failed'),
      );
    };
    setState('loading');
    look();
    const timer = setInterval(look, LIVE_EVERY_MS);
    document.addEventListener('visibilitychange', look);
    return () => {
      abort.abort();
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [site]);

  const count = seen?.visitors ?? null;
  if (state !== 'ready' || count === null) {
    return <p class="live" data-live data-state={state} title={t('live.unknown')} aria-hidden="true" />;
  }
  const number = written(count, format.number);
  const text = t('live.visitors', { count: typeof count === 'number' ? count : MANY, number });
  return (
    <Popover
      class="live-popover"
      toggle={toggle}
      label={
        <span class="live" data-live data-state={state} data-value={count} data-active={count !== 0} title={t('live.hint')}>
          <span class="live-dot" aria-hidden="true" />
          <span class="live-text">{bold(text, number)}</span>
          <span class="live-brief" aria-hidden="true">
            {bold(t('live.brief', { number }), number)}
          </span>
        </span>
      }
    >
      {(close) => (
        <div class="live-panel" data-live-view>
          <p class="live-lead">{t('live.lead')}</p>
          <LiveList
            title={t('live.pages')}
            dimension="event:page"
            rows={seen?.pages ?? []}
            onChoose={(page) => {
              close();
              onPage(page);
            }}
          />
          <LiveList title={t('live.sources')} dimension="visit:source" rows={seen?.sources ?? []} />
        </div>
      )}
    </Popover>
  );
}

interface ListProps {
  readonly title: string;
  readonly dimension: string;
  readonly rows: readonly LiveRow[];
  readonly onChoose?: (value: string) => void;
}

function LiveList({ title, dimension, rows, onChoose }: ListProps) {
  const words = useWords();
  const { t, format } = words;
  const most = Math.max(1, ...rows.map((row) => (typeof row.visitors === 'number' ? row.visitors : 0)));
  return (
    <section class="live-list">
      <h3>{title}</h3>
      {rows.length === 0 ? (
        <p class="live-none">{t('live.none')}</p>
      ) : (
        <ul>
          {rows.map(({ name, visitors }) => {
            const label = labelOf(words, dimension, name);
            const share = typeof visitors === 'number' ? (visitors / most) * 100 : 0;
            return (
              <li key={name} data-live-row={name} data-value={visitors} style={{ '--share': `${share.toFixed(1)}%` }}>
                {onChoose && name !== '(other)' ? (
                  <button type="button" data-item class="live-name" title={label} onClick={() => onChoose(name)}>
                    {label}
                  </button>
                ) : (
                  <span class="live-name" title={label}>
                    {label}
                  </span>
                )}
                <b>{visitors === null ? NO_NUMBER : written(visitors, format.number)}</b>
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}

function written(count: LiveNumber, number: (value: number) => string): string {
  return typeof count === 'number' ? number(count) : count;
}

/** The text with its number in bold. */
function bold(text: string, number: string) {
  const [before = '', after = ''] = text.split(number);
  return (
    <>
      {before}
      <b>{number}</b>
      {after}
    </>
  );
}
