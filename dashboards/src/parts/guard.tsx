/**
 * The guard of small counts in words: a line that says it holds, and a card in
 * the place of numbers that it keeps back.
 */
import type { Guard } from '../api/types';
import type { View } from '../model/view';
import { useWords, type Words } from '../words/language';
import { Icon } from './icons';
import { Popover } from './popover';

/** What stands for a number that is withheld. */
export function Few({ k }: { readonly k: number }) {
  const { t, format } = useWords();
  return (
    <span class="few" title={t('guard.few_hint', { k: format.number(k) })}>
      {t('guard.few')}
    </span>
  );
}

export function GuardNote({ k }: { readonly k: number }) {
  const { t, format } = useWords();
  const number = format.number(k);
  return (
    <div class="guard-note" data-guard>
      <Icon name="guard" />
      <p>{t('guard.note', { k: number })}</p>
      <Popover label={t('guard.why')} class="guard-why" align="end">
        {() => (
          <div class="guard-text">
            <p>{t('guard.text_rounded', { k: number })}</p>
            <p>{t('guard.text_limits')}</p>
            <p>{t('guard.text_honest')}</p>
          </div>
        )}
      </Popover>
    </div>
  );
}

interface Props {
  readonly guard: Guard;
  readonly view: View;
  readonly onView: (view: View) => void;
}

/** Why there are no numbers, and the way out of it. */
export function Refused({ guard, view, onView }: Props) {
  const words = useWords();
  const { t } = words;
  return (
    <section class="card notice" data-region="headline" data-state="refused" data-refused={guard.refused ?? ''}>
      <h2>
        <Icon name="guard" />
        {t('guard.refused_title')}
      </h2>
      <p>{refusalText(words, guard)}</p>
      {view.filters.length > 0 && (
        <div class="notice-acts">
          <button
            type="button"
            class="button primary"
            onClick={() => onView({ ...view, filters: view.filters.slice(0, -1) })}
          >
            {t('guard.drop_last')}
          </button>
          {view.filters.length > 1 && (
            <button type="button" class="button" onClick={() => onView({ ...view, filters: [] })}>
              {t('filter.clear')}
            </button>
          )}
        </div>
      )}
    </section>
  );
}

export function refusalText({ t, find, format }: Words, { k, refused }: Guard): string {
  const text = find(`guard.${refused ?? ''}`) ?? t('guard.other');
  return text.replace('{k}', format.number(k));
}
