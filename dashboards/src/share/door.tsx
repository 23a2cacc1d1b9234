/** The door for who comes by a shared link; what is behind it is loaded for them only. */
import { Failure } from '../parts/failure';
import { useLate } from '../parts/late';
import { useWords, type Language } from '../words/language';

export function ShareDoor({ onLanguage }: { readonly onLanguage: (language: Language) => void }) {
  const { t } = useWords();
  const { part, error, retry } = useLate(() => import('./index'));
  if (part) return <part.Shared onLanguage={onLanguage} />;
  return (
    <main class="page-wait">
      {error === null ? <div role="status" aria-label={t('app.loading')} /> : <Failure error={error} retry={retry} />}
    </main>
  );
}
