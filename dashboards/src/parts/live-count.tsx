/** How many people are on the site now; asked anew while the page is looked at. */
import { useEffect, useState } from 'preact/hooks';
import { live } from '../api/client';
import { useWords } from '../words/language';

/** How often the live count is asked, in milliseconds. */
const LIVE_EVERY_MS = 10_000;

export function LiveCount({ site }: { readonly site: string }) {
  const { t, format } = useWords();
  const [count, setCount] = useState<number | string | null>(null);
  const [state, setState] = useState<'loading' | 'ready' | 'failed'>('loading');

  useEffect(() => {
    const abort = new AbortController();
    const look = () => {
      if (document.visibilityState !== 'visible') return;
      live(site, abort.signal).then(
        ({ visitors }) => {
          setCount(visitors);
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

  if (state !== 'ready' || count === null) {
    return <p class="live" data-live data-state={state} title={t('live.unknown')} aria-hidden="true" />;
  }
  const number = typeof count === 'number' ? format.number(count) : count;
  // "<10" takes the form of many.
  const text = t('live.visitors', { count: typeof count === 'number' ? count : 10, number });
  return (
    <p class="live" data-live data-state={state} data-value={count} data-active={count !== 0} title={t('live.hint')}>
      <span class="live-dot" aria-hidden="true" />
      <span class="live-text">{bold(text, number)}</span>
      <span class="live-brief" aria-hidden="true">
        {bold(t('live.brief', { number }), number)}
      </span>
    </p>
  );
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
