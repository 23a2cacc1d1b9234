/**
 * Makes a filter, or changes one: what it is about, how it compares, which
 * values. Values are offered by how common they are under the other filters.
 * Where the guard of small counts holds, nothing is typed that is sent.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Operator, SiteSettings, Value } from '../api/types';
import { useAnswer } from '../load';
import { DIMENSION_GROUPS, isTranslated, operatorsOf, SEGMENT } from '../model/dimensions';
import type { Now } from '../model/period';
import { isKept, suggestionsQuery } from '../model/questions';
import { maxFilters, withFilter, without, type View } from '../model/view';
import { dimensionName, labelOf } from '../words/labels';
import { useWords } from '../words/language';
import { Failure } from './failure';
import { Icon } from './icons';

/** A search waits this long for the next letter, in milliseconds. */
const TYPING_MS = 250;
/** So many values are offered at once; the search finds the others. */
const OFFERED = 40;
/** A value may be so long, in characters: above what the collector keeps. */
const MAX_VALUE = 1_000;
/** Values of one filter. */
const MAX_VALUES = 50;
/** Merged by the guard, or no value at all: not to be chosen. */
const NO_CHOICE: readonly string[] = ['(other)'];

interface Props {
  readonly view: View;
  readonly now: Now;
  /** Which filter is changed; null makes a new one. */
  readonly index: number | null;
  readonly kept: SiteSettings;
  readonly onView: (view: View) => void;
  readonly onClose: () => void;
}

interface Choice {
  readonly value: string;
  readonly label: string;
  readonly count: Value;
}

export function FilterEditor({ view, now, index, kept, onView, onClose }: Props) {
  const words = useWords();
  const { t, format } = words;
  const guarded = now.guarded === true;
  const before = index === null ? undefined : view.filters[index];
  const dialog = useRef<HTMLDialogElement>(null);
  const [dimension, setDimension] = useState(before?.[1] ?? 'event:page');
  const [operator, setOperator] = useState<Operator>(before?.[0] ?? 'is');
  const [values, setValues] = useState<readonly string[]>(before?.[2] ?? []);
  const [typed, setTyped] = useState('');
  const [search, setSearch] = useState('');
  const operators = operatorsOf(dimension, guarded);
  const contains = operator === 'contains' || operator === 'contains_not';
  const full = index === null && view.filters.length >= maxFilters(guarded);

  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    const timer = setTimeout(() => setSearch(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);

  const onServer = !guarded && !isTranslated(dimension);
  const query =
    isKept(dimension) || contains || full
      ? null
      : suggestionsQuery(view, now, dimension, onServer ? search : '', index);
  const load = useAnswer(query, `values ${dimension}`, 0);
  const choices = offered();

  function offered(): readonly Choice[] {
    if (contains) return [];
    const all: readonly Choice[] = isKept(dimension)
      ? keptChoices(dimension, kept)
      : (load.answer?.results ?? []).map((row) => {
          const value = row.dimensions[0] ?? '';
          return { value, label: labelOf(words, dimension, value), count: row.metrics[0] ?? null };
        });
    const sought = typed.trim().toLocaleLowerCase();
    const fitting = all.filter(
      ({ value, label }) =>
        !NO_CHOICE.includes(value) &&
        (label.toLocaleLowerCase().includes(sought) || value.toLocaleLowerCase().includes(sought)),
    );
    // What is chosen already stays in sight.
    const hidden = values
      .filter((value) => sought === '' && !all.some((each) => each.value === value))
      .map((value) => ({ value, label: labelOf(words, dimension, value), count: null }));
    return [...hidden, ...fitting.slice(0, OFFERED)];
  }

  const turn = (value: string) =>
    setValues((chosen) =>
      chosen.includes(value) ? chosen.filter((each) => each !== value) : [...chosen, value].slice(0, MAX_VALUES),
    );
  /** What is typed is a value where texts are compared, and where no offered value is meant. */
  const withTyped = (): readonly string[] => {
    const text = typed.trim().slice(0, MAX_VALUE);
    if (text === '' || values.includes(text)) return values;
    if (contains) return [...values, text];
    if (values.length > 0 || guarded || isKept(dimension)) return values;
    return [choices.find(({ value, label }) => value === text || label === text)?.value ?? text];
  };
  const chosen = withTyped();

  const apply = (event: Event) => {
    event.preventDefault();
    if (chosen.length === 0 || full) return;
    onView(withFilter(view, [operator, dimension, chosen], index));
    // Closing it, not taking it away, gives the focus back to where it was.
    dialog.current?.close();
  };

  return (
    <dialog
      ref={dialog}
      class="dialog narrow"
      aria-labelledby="filter-title"
      data-filter-editor
      data-state={load.state}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <form class="dialog-inner" onSubmit={apply}>
        <header class="dialog-head">
          <h2 id="filter-title">{t(index === null ? 'filter.new' : 'filter.change')}</h2>
          <button type="button" class="icon-button" aria-label={t('app.close')} onClick={() => dialog.current?.close()}>
            <Icon name="close" />
          </button>
        </header>
        <div class="dialog-body filter-body">
          {full ? (
            <p class="panel-empty">{t('filter.full', { number: format.number(maxFilters(guarded)) })}</p>
          ) : (
            <>
              <label class="filter-field">
                <span>{t('filter.about')}</span>
                <select
                  name="dimension"
                  value={dimension}
                  onChange={(event) => {
                    const next = event.currentTarget.value;
                    setDimension(next);
                    setValues([]);
                    setTyped('');
                    setSearch('');
                    if (!operatorsOf(next, guarded).includes(operator)) setOperator('is');
                  }}
                >
                  {!DIMENSION_GROUPS.some((group) => group.dimensions.some((each) => each.dimension === dimension)) && (
                    <option value={dimension}>{dimensionName(words, dimension)}</option>
                  )}
                  {DIMENSION_GROUPS.map((group) => (
                    <optgroup key={group.id} label={t(`panel.${group.id}` as 'panel.pages')}>
                      {group.dimensions.map((each) => (
                        <option key={each.dimension} value={each.dimension}>
                          {dimensionName(words, each.dimension)}
                        </option>
                      ))}
                    </optgroup>
                  ))}
                </select>
              </label>
              {operators.length > 1 && (
                <div class="segments filter-operators" role="group" aria-label={t('filter.how')}>
                  {operators.map((each) => (
                    <button
                      key={each}
                      type="button"
                      data-operator-choice={each}
                      aria-pressed={each === operator}
                      onClick={() => setOperator(each)}
                    >
                      {t(`filter.${each}_full`)}
                    </button>
                  ))}
                </div>
              )}
              {contains && values.length > 0 && (
                <ul class="filter-values">
                  {values.map((value) => (
                    <li class="chip" key={value}>
                      <span class="chip-text">{value}</span>
                      <button
                        type="button"
                        class="chip-remove"
                        aria-label={t('filter.remove', { filter: value })}
                        onClick={() => turn(value)}
                      >
                        <Icon name="close" />
                      </button>
                    </li>
                  ))}
                </ul>
              )}
              <label class="filter-field">
                <span>{t(contains ? 'filter.text' : 'filter.search')}</span>
                <input
                  type="search"
                  name="value"
                  autocomplete="off"
                  maxLength={MAX_VALUE}
                  value={typed}
                  onInput={(event) => setTyped(event.currentTarget.value)}
                />
              </label>
              {contains ? (
                <p class="filter-hint">{t('filter.contains_hint')}</p>
              ) : load.state === 'failed' ? (
                <Failure error={load.error} retry={load.retry} />
              ) : (
                <div class="choices" role="group" aria-label={t('filter.values')} aria-busy={load.state === 'loading'}>
                  {choices.map(({ value, label, count }) => (
                    <label class="choice-row" key={value} data-choice={value}>
                      <input type="checkbox" checked={values.includes(value)} onChange={() => turn(value)} />
                      <span class="choice-label">{label}</span>
                      {count !== null && <span class="choice-count">{format.number(count)}</span>}
                    </label>
                  ))}
                  {choices.length === 0 && (
                    <p class="filter-hint" role="status">
                      {t(emptyKey())}
                    </p>
                  )}
                </div>
              )}
            </>
          )}
        </div>
        <footer class="dialog-foot">
          {index === null ? (
            <span />
          ) : (
            <button
              type="button"
              class="quiet"
              onClick={() => {
                onView(without(view, index));
                dialog.current?.close();
              }}
            >
              {t('filter.take_away')}
            </button>
          )}
          <button type="submit" class="button primary" data-apply disabled={chosen.length === 0 || full}>
            {t('filter.apply')}
          </button>
        </footer>
      </form>
    </dialog>
  );

  function emptyKey() {
    if (load.state === 'loading') return 'app.loading' as const;
    if (dimension === SEGMENT) return 'filter.no_segments' as const;
    if (isKept(dimension)) return 'filter.no_goals' as const;
    return typed.trim() === '' || guarded ? ('filter.no_values' as const) : ('filter.exactly' as const);
  }
}

function keptChoices(dimension: string, { segments, goals }: SiteSettings): readonly Choice[] {
  return dimension === SEGMENT
    ? segments.map(({ id, name }) => ({ value: id, label: name, count: null }))
    : goals.map(({ name }) => ({ value: name, label: name, count: null }));
}
