/** The filters in force: each can be changed or taken away. */
import { MAX_FILTERS, without, type View } from '../model/view';
import { filterParts } from '../words/labels';
import { useWords } from '../words/language';
import { Icon } from './icons';

interface Props {
  readonly view: View;
  readonly onView: (view: View) => void;
  /** Opens the editor on one of them. */
  readonly onEdit: (index: number) => void;
}

export function Filters({ view, onView, onEdit }: Props) {
  const spoken = useWords();
  const { t } = spoken;
  if (view.filters.length === 0) return null;
  return (
    <section class="filters" aria-label={t('filter.title')}>
      <ul>
        {view.filters.slice(0, MAX_FILTERS).map((filter, index) => {
          const [dimension, operator, value] = filterParts(spoken, filter);
          const sentence = `${dimension} ${operator} ${value}`;
          return (
            <li class="chip" key={JSON.stringify(filter)} data-filter={filter[1]} data-operator={filter[0]}>
              <button
                type="button"
                class="chip-text"
                title={t('filter.edit', { filter: sentence })}
                onClick={() => onEdit(index)}
              >
                {dimension} <i>{operator}</i> <b>{value}</b>
              </button>
              <button
                type="button"
                class="chip-remove"
                aria-label={t('filter.remove', { filter: sentence })}
                onClick={() => onView(without(view, index))}
              >
                <Icon name="close" />
              </button>
            </li>
          );
        })}
      </ul>
      {view.filters.length > 1 && (
        <button type="button" class="quiet" data-clear onClick={() => onView({ ...view, filters: [] })}>
          {t('filter.clear')}
        </button>
      )}
    </section>
  );
}
