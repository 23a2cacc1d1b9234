/** The lines to put into a site's pages, and whether its hits arrive. */
import { useEffect, useState } from 'preact/hooks';
import { ask, live } from '../api/client';
import { everQuery } from '../model/questions';
import { PLACEHOLDER, snippetOf } from '../model/snippet';
import { Copy } from '../officer/parts/file';
import { Card, State } from '../officer/parts/shown';
import { OwnHitDialog } from '../panels/own-hit';
import { useHere } from './here';
import { useSettings } from './words';

/** How often a hit is looked for, in milliseconds. */
const LOOK_EVERY_MS = 5_000;

/** As a page writes them; the names are examples. */
const EVENT = `<script>metka('booking', { props: { service: 'consultation' } })</script>`;
const AD = '<div data-metka-ad="spring-banner">…</div>';

export function Embed() {
  const { t } = useSettings();
  const { site } = useHere();
  const { script, image, unfinished } = snippetOf(site);
  const [ownHit, setOwnHit] = useState(false);
  return (
    <>
      <p class="office-lead settings-lead">{t('embed.lead', { site: site.hosts.join(', ') || site.id })}</p>
      <div class="office-stack">
        <Card title={t('embed.check')} name="check">
          <Check />
          <p class="settings-own">
            <button type="button" class="link" data-own-hit-open onClick={() => setOwnHit(true)}>
              {t('embed.own')}
            </button>
          </p>
        </Card>
        <Line name="script" title={t('embed.script')} text={script} />
        <Line name="image" title={t('embed.image')} text={image} />
        {unfinished && <p class="office-note">{t('embed.replace', { placeholder: PLACEHOLDER })}</p>}
        <Line name="event" title={t('embed.event')} text={EVENT} />
        <Line name="ad" title={t('embed.ad')} text={AD} />
      </div>
      {ownHit && <OwnHitDialog site={site} onClose={() => setOwnHit(false)} />}
    </>
  );
}

interface LineProps {
  readonly name: 'script' | 'image' | 'event' | 'ad';
  readonly title: string;
  readonly text: string;
}

function Line({ name, title, text }: LineProps) {
  const { t } = useSettings();
  return (
    <Card title={title} name={name}>
      <div class="code">
        <pre tabIndex={0} role="region" aria-label={title}>
          <code>{text}</code>
        </pre>
        <Copy text={text} name={t(`embed.copy_${name}`)} />
      </div>
    </Card>
  );
}

/** Looks until the first hit is there, then for who is on the site now. */
function Check() {
  const { t, format } = useSettings();
  const { site } = useHere();
  const [arrived, setArrived] = useState<boolean | null>(null);
  const [now, setNow] = useState<number | string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    let ever = false;
    const look = async () => {
      if (document.visibilityState !== 'visible') return;
      if (!ever) {
        const answer = await ask(everQuery(site.id), abort.signal);
        ever = answer.results.some((row) => row.metrics.some((value) => (value ?? 0) > 0));
        setArrived(ever);
      }
      if (ever) setNow((await live(site.id, abort.signal)).visitors);
    };
    // A failure leaves what is known: the next look may be luckier.
    const try_ = () => void look().catch(() => undefined);
    try_();
    const timer = setInterval(try_, LOOK_EVERY_MS);
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [site.id]);
  const state = arrived === null ? 'loading' : arrived ? 'arrived' : 'waiting';
  return (
    <div role="status" data-check={state}>
      {arrived === null && <p>{t('app.loading')}</p>}
      {arrived === false && <State tone="warn" text={t('embed.waiting', { site: site.hosts[0] ?? site.id })} />}
      {arrived === true && (
        <p>
          <State tone="good" text={t('embed.arrived', { site: site.hosts[0] ?? site.id })} />{' '}
          {typeof now === 'number' && t('embed.now', { count: now, number: format.number(now) })}
          {typeof now === 'string' && t('embed.now', { count: 10, number: now })}
        </p>
      )}
    </div>
  );
}
