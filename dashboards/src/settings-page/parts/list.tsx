/** The list of a section: a lead with the way to a new one, a sheet, and for each line what can be done with it. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { remove, type Filters, type Things } from '../../api/kept';
import { flat } from '../../beyond/model/flat';
import { useDeed } from '../../officer/parts/deed';
import { Icon } from '../../parts/icons';
import { filterParts } from '../../words/labels';
import { useHere } from '../here';
import { writePlace, type Section } from '../model/place';
import { useSettings } from '../words';
import { Confirm } from './confirm';

interface LeadProps {
  readonly text: string;
  /** Where a new one is made; absent for who may not. */
  readonly to?: Section | false;
  readonly action?: string;
  /** The id of the text that says why none can be made now. */
  readonly off?: string | false;
}

export function Lead({ text, to, action, off = false }: LeadProps) {
  return (
    <div class="office-bar">
      <p class="office-lead bar-text">{text}</p>
      {to && off !== false && (
        <button type="button" class="button primary" aria-disabled="true" aria-describedby={off} data-new={to}>
          <Icon name="plus" />
          {action}
        </button>
      )}
      {to && off === false && (
        <a class="button primary" href={writePlace(to, 'new')} data-new={to}>
          <Icon name="plus" />
          {action}
        </a>
      )}
    </div>
  );
}

interface SheetProps {
  readonly name: Section;
  readonly heads: readonly string[];
  readonly empty: string;
  readonly count: number;
  readonly children: ComponentChildren;
}

export function Sheet({ name, heads, empty, count, children }: SheetProps) {
  const { t } = useSettings();
  if (count === 0) {
    return (
      <p class="card settings-empty" data-region={name} data-state="empty">
        {empty}
      </p>
    );
  }
  return (
    <div class="card sheet-card" data-region={name} data-state="ready">
      <table class="sheet settings-sheet">
        <thead>
          <tr>
            {heads.map((head) => (
              <th scope="col" key={head}>
                {head}
              </th>
            ))}
            <th scope="col">
              <span class="visually-hidden">{t('settings.acts')}</span>
            </th>
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

interface ActsProps {
  readonly kind: keyof Things;
  readonly section: Section;
  readonly id: string;
  /** As people call it. */
  readonly name: string;
  readonly may: boolean;
  /** Whether it can be changed, and what that is called. */
  readonly change?: string | false;
  /** Why it cannot be removed, or what removing it means. */
  readonly warning: string;
  readonly stuck?: boolean;
}

/** Change and remove; removing asks first. */
export function Acts({ kind, section, id, name, may, change, warning, stuck = false }: ActsProps) {
  const words = useSettings();
  const { t } = words;
  const { site, changed } = useHere();
  const deed = useDeed(words.office);
  const [asking, setAsking] = useState(false);
  if (!may) return <td class="settings-acts" />;
  return (
    <td class="settings-acts">
      {change !== false && (
        <a class="quiet" href={writePlace(section, id)} aria-label={`${change ?? t('settings.change')}: ${name}`} data-change={id}>
          {change ?? t('settings.change')}
        </a>
      )}
      <button
        type="button"
        class="quiet"
        aria-label={`${t('settings.remove')}: ${name}`}
        data-remove={id}
        onClick={() => {
          deed.forget();
          setAsking(true);
        }}
      >
        {t('settings.remove')}
      </button>
      {asking && !stuck && (
        <Confirm
          name="remove"
          title={t('settings.remove_ask', { name })}
          lead={warning}
          action={t('settings.remove')}
          deed={deed}
          onClose={() => setAsking(false)}
          onDo={() =>
            void deed
              .run(async () => {
                await remove(site.id, kind, id);
              })
              .then((done) => {
                if (!done) return;
                setAsking(false);
                changed();
              })
          }
        />
      )}
      {asking && stuck && (
        <p class="settings-stuck" role="alert">
          {warning}
        </p>
      )}
    </td>
  );
}

/** Filters in words. */
export function FiltersText({ filters }: { readonly filters: Filters }) {
  const words = useSettings();
  const clauses = flat(filters);
  if (filters.length === 0) return <>{words.t('settings.no_filters')}</>;
  if (clauses === null) return <>{words.t('settings.nested_filters')}</>;
  return (
    <ul class="settings-filters">
      {clauses.map((clause) => {
        const [dimension, operator, value] = filterParts(words, clause);
        return (
          <li key={JSON.stringify(clause)}>
            {dimension} <i>{operator}</i> <b>{value}</b>
          </li>
        );
      })}
    </ul>
  );
}
