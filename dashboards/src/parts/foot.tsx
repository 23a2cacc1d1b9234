/** Under the numbers: how fresh they are, whose clock they are by, where places come from. */
import type { Attribution, Site } from '../api/types';
import { useWords } from '../words/language';
import { Icon } from './icons';

interface Props {
  readonly site: Site;
  readonly refreshed: Date;
  readonly onRefresh: () => void;
  /** Null for those who may not have them. */
  readonly marked: boolean | null;
  readonly onMarked: (marked: boolean) => void;
}

export function Foot({ site, refreshed, onRefresh, marked, onMarked }: Props) {
  const { t, format } = useWords();
  const attribution = [site.attribution ?? []].flat().filter((text) => text !== '');
  return (
    <footer class="foot">
      <p>
        {t('footer.stale', { time: format.time(refreshed, site.timezone) })}{' '}
        <button type="button" class="quiet" data-refresh onClick={onRefresh}>
          <Icon name="refresh" />
          {t('footer.refresh')}
        </button>
      </p>
      <p>{t('footer.zone', { zone: site.timezone })}</p>
      {marked !== null && (
        <p>
          <label class="foot-check">
            <input
              type="checkbox"
              data-marked
              checked={marked}
              onChange={(event) => onMarked(event.currentTarget.checked)}
            />{' '}
            {t('footer.marked')}
          </label>
        </p>
      )}
      {attribution.length > 0 && (
        <p data-attribution>
          {t('footer.geo')}{' '}
          {attribution.map((line, index) => (
            <>
              {index > 0 && ' · '}
              {typeof line === 'string' ? line : <Credit {...line} />}
            </>
          ))}
        </p>
      )}
      <p>{t('footer.map')}</p>
    </footer>
  );
}

function Credit({ text, url }: Attribution) {
  if (!url.startsWith('https://')) return <>{text}</>;
  return (
    <a href={url} rel="noreferrer">
      {text}
    </a>
  );
}
