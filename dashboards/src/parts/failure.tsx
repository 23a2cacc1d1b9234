/** What went wrong, in words, with a way to try again. */
import { failureOf } from '../load';
import { useWords } from '../words/language';

export function Failure({ error, retry }: { readonly error: unknown; readonly retry: () => void }) {
  const { t } = useWords();
  const { key, detail } = failureOf(error);
  return (
    <div class="failure" role="alert">
      <p class="failure-title">{t('error.title')}</p>
      <p>{t(key)}</p>
      {detail !== '' && <p class="failure-detail">{detail}</p>}
      <button type="button" class="button" onClick={retry}>
        {t('app.retry')}
      </button>
    </div>
  );
}
