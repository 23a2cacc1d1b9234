/**
 * What the collector sees of this very browser, in words: a wrong proxy set-up
 * is the commonest fault in the field, and here it shows.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import { ownHit } from '../api/client';
import type { OwnHit, Site } from '../api/types';
import { Failure } from '../parts/failure';
import { Icon } from '../parts/icons';
import { labelOf } from '../words/labels';
import { useWords, type Words } from '../words/language';

interface Props {
  readonly site: Site;
  readonly onClose: () => void;
}

export function OwnHitDialog({ site, onClose }: Props) {
  const words = useWords();
  const { t } = words;
  const dialog = useRef<HTMLDialogElement>(null);
  const [seen, setSeen] = useState<OwnHit | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);

  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    const abort = new AbortController();
    setError(null);
    ownHit(site.id, abort.signal).then(setSeen, (failure: unknown) => !abort.signal.aborted && setError(failure));
    return () => abort.abort();
  }, [site.id, attempt]);

  const here = seen?.sites.find((each) => each.site === site.id);
  return (
    <dialog
      ref={dialog}
      class="dialog narrow"
      aria-labelledby="own-title"
      data-own-hit
      data-state={error !== null ? 'failed' : seen ? 'ready' : 'loading'}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <div class="dialog-inner">
        <header class="dialog-head">
          <h2 id="own-title">{t('own.title')}</h2>
          <button type="button" class="icon-button" aria-label={t('app.close')} onClick={() => dialog.current?.close()}>
            <Icon name="close" />
          </button>
        </header>
        <div class="dialog-body" tabIndex={0} role="region" aria-labelledby="own-title">
          {error !== null && <Failure error={error} retry={() => setAttempt(attempt + 1)} />}
          {seen && (
            <>
              <p class="verdict" data-good={here?.refused == null && seen.bot === ''}>
                {verdict(words, seen, site.id)}
              </p>
              {seen.warnings.map((warning) => (
                <p class="verdict" data-good="false" key={warning}>
                  {warning}
                </p>
              ))}
              <dl class="facts">
                {facts(words, seen, site.id).map(([name, value]) => (
                  <div key={name}>
                    <dt>{name}</dt>
                    <dd>{value}</dd>
                  </div>
                ))}
              </dl>
            </>
          )}
        </div>
      </div>
    </dialog>
  );
}

function verdict({ t, find }: Words, seen: OwnHit, site: string): string {
  const refused = seen.sites.find((each) => each.site === site)?.refused;
  if (refused != null) return t('own.refused', { site, reason: find(`reason.${refused}`) ?? refused });
  return seen.bot === '' ? t('own.counts', { site }) : t('own.bot', { bot: seen.bot });
}

/** Name and value of what is known, in the order of looking for a fault. */
function facts(words: Words, seen: OwnHit, site: string): [string, string][] {
  const { t, find } = words;
  const here = seen.sites.find((each) => each.site === site);
  const place = [seen.city, labelOf(words, 'visit:country', seen.country)].filter((part) => part !== '');
  const yes = (value: boolean): string => t(value ? 'own.yes' : 'own.no');
  const listed: [string, string | undefined][] = [
    [t('own.address'), seen.address],
    [t('own.peer'), seen.peer === seen.address ? undefined : seen.peer],
    [t('own.peer_trusted'), yes(seen.peer_trusted)],
    [t('own.read_from'), seen.read_from],
    [t('own.after_proxy'), seen.after_proxy ?? t('own.no_proxy')],
    [t('own.place'), place.join(', ')],
    [t('own.browser'), [seen.browser, seen.os].filter((part) => part !== '').join(', ')],
    [t('dimension.device'), labelOf(words, 'visit:device', seen.device)],
    [t('own.language'), seen.language],
    [t('own.cookie', { name: seen.cookie_name }), find(`own.cookie_${seen.cookie}`) ?? seen.cookie],
    [t('own.identity'), here && (find(`own.identity_${here.identity}`) ?? here.identity)],
    [t('own.mints'), here && yes(here.mints)],
    [t('own.opted_out'), yes(seen.opted_out)],
    [t('own.signals'), [seen.gpc && 'Sec-GPC', seen.dnt && 'DNT'].filter(Boolean).join(', ') || t('own.no')],
  ];
  return listed.filter((fact): fact is [string, string] => fact[1] !== undefined && fact[1] !== '');
}
