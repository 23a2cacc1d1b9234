/**
 * A site that has never seen a visit gets the line to embed instead of empty
 * panels; the page looks for the first hit by itself.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ask } from '../api/round';
import type { Site } from '../api/types';
import { everQuery } from '../model/questions';
import { Icon } from '../parts/icons';
import { useWords } from '../words/language';

/** How often the first hit is looked for, in milliseconds. */
const LOOK_EVERY_MS = 5_000;

/** Stands for the collect address where the server does not tell it. */
const PLACEHOLDER = 'https://STATS';

interface Props {
  readonly site: Site;
  /** The chosen period has nothing in it: the site may be new. */
  readonly suspect: boolean;
  readonly onArrived: () => void;
  readonly onOwnHit: () => void;
  readonly children: ComponentChildren;
}

export function FirstVisit({ site, suspect, onArrived, onOwnHit, children }: Props) {
  const { t } = useWords();
  const [isNew, setNew] = useState(false);
  const [arrived, setArrived] = useState(false);

  useEffect(() => {
    if (!suspect && !isNew) return;
    const abort = new AbortController();
    const look = () => {
      if (document.visibilityState !== 'visible') return;
      ask(everQuery(site.id), abort.signal).then(
        (answer) => {
          const ever = answer.results.some((row) => row.metrics.some((value) => (value ?? 0) > 0));
          setNew(!ever);
          if (!ever) return;
          clearInterval(timer);
          if (!isNew) return;
          setArrived(true);
          onArrived();
        },
        // The panels say what is wrong with the server.
        () => undefined,
      );
    };
    look();
    const timer = setInterval(look, LOOK_EVERY_MS);
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [site.id, suspect, isNew, onArrived]);

  if (isNew) return <Snippet site={site} onOwnHit={onOwnHit} />;
  return (
    <>
      {arrived && (
        <p class="card page-arrived" role="status" data-arrived>
          <Icon name="check" />
          {t('empty.arrived')}
        </p>
      )}
      {children}
    </>
  );
}

function Snippet({ site, onOwnHit }: Pick<Props, 'site' | 'onOwnHit'>) {
  const { t } = useWords();
  const origin = site.collect_url?.replace(/\/$/, '') || PLACEHOLDER;
  const script = `<script defer src="${origin}${site.script_path ?? '/pixel.js'}" data-site="${site.id}"></script>`;
  const image = `<noscript><img src="${origin}${site.pixel_path ?? '/pixel.gif'}?s=${site.id}" alt="" referrerpolicy="no-referrer-when-downgrade"></noscript>`;
  return (
    <section class="card notice" data-region="first-visit" aria-labelledby="first-visit-title">
      <h2 id="first-visit-title">{t('empty.title')}</h2>
      <p>{t('empty.lead', { site: site.hosts[0] ?? site.id })}</p>
      <Code text={script} />
      <p>{t('empty.noscript')}</p>
      <Code text={image} />
      {origin === PLACEHOLDER && <p>{t('empty.replace', { placeholder: PLACEHOLDER })}</p>}
      <p class="notice-wait" role="status">
        <span class="live-dot" aria-hidden="true" />
        {t('empty.waiting')}
      </p>
      <p>
        <button type="button" class="link" onClick={onOwnHit}>
          {t('empty.check')}
        </button>
      </p>
    </section>
  );
}

function Code({ text }: { readonly text: string }) {
  const { t } = useWords();
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
  };
  return (
    <div class="code">
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
      <button type="button" class="button" data-copy onClick={() => void copy().catch(() => setCopied(false))}>
        <Icon name={copied ? 'check' : 'copy'} />
        {t(copied ? 'empty.copied' : 'empty.copy')}
      </button>
    </div>
  );
}
