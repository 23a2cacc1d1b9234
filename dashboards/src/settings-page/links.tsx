/** Shared links: the list, a new one, and its address, which is shown once. */
import { useState } from 'preact/hooks';
import { put, type Filters, type Link } from '../api/kept';
import type { Operator } from '../api/types';
import { DIMENSIONS } from '../model/panels';
import { typedOf } from '../officer/model/forms';
import { useDeed } from '../officer/parts/deed';
import { Choice, Form, Text } from '../officer/parts/form';
import { Back, Card, State } from '../officer/parts/shown';
import { Icon } from '../parts/icons';
import { useHere } from './here';
import { LINK_DAYS, linkOf, MAX_LINK_FILTERS, MAX_NAME_BYTES, MAX_VALUE_BYTES, type FilterRow } from './model/forms';
import { writePlace } from './model/place';
import { Acts, FiltersText, Lead, Sheet } from './parts/list';
import { Once } from './parts/once';
import { useKnown } from './parts/known';
import { useSettings } from './words';

/** What a link may be narrowed to: what people see in the panels. */
const NARROWED: readonly (readonly [dimension: string, id: string])[] = [...DIMENSIONS].filter(
  ([, id]) => !['mark', 'segment', 'goal'].includes(id),
);
const OPERATORS = ['is', 'is_not'] as const satisfies readonly Operator[];

export function Links({ item }: { readonly item: string }) {
  const { t } = useSettings();
  if (item !== '') {
    return (
      <>
        <Back to={writePlace('links')} text={t('links.all')} />
        {item === 'new' ? <NewLink /> : <p class="office-lead">{t('settings.gone')}</p>}
      </>
    );
  }
  return <List />;
}

function List() {
  const { t, format } = useSettings();
  const { kept, owner } = useHere();
  const links = kept.links ?? [];
  return (
    <>
      <Lead
        text={t('links.lead', { k: format.number(kept.min_group ?? 10) })}
        to={owner && 'links'}
        action={t('links.new')}
      />
      <Sheet
        name="links"
        heads={[t('links.link'), t('settings.filters'), t('links.expires')]}
        empty={t('links.empty')}
        count={links.length}
      >
        {links.map((link) => (
          <tr key={link.id} data-row={link.id}>
            <th scope="row">{link.name}</th>
            <td data-label={t('settings.filters')}>
              <FiltersText filters={link.filters} />
            </td>
            <td data-label={t('links.expires')}>
              <Expiry expires={link.expires} />
            </td>
            <Acts
              kind="link"
              section="links"
              id={link.id}
              name={link.name}
              may={owner}
              change={false}
              warning={t('links.remove_lead')}
            />
          </tr>
        ))}
      </Sheet>
    </>
  );
}

function Expiry({ expires }: { readonly expires: number | null }) {
  const { t, language } = useSettings();
  const { site } = useHere();
  if (expires === null) return <>{t('links.never')}</>;
  const day = new Intl.DateTimeFormat(language, { timeZone: site.timezone, dateStyle: 'long' }).format(expires);
  if (expires <= Date.now()) return <State tone="warn" text={t('links.expired', { day })} />;
  return <time dateTime={new Date(expires).toISOString()}>{day}</time>;
}

function NewLink() {
  const words = useSettings();
  const { t, format } = words;
  const { site, kept, changed } = useHere();
  const deed = useDeed(words.office);
  const [made, setMade] = useState<Link | null>(null);
  const [segment, setSegment] = useState('');
  const [rows, setRows] = useState<readonly FilterRow[]>([]);
  const taken: Filters = kept.segments.find((each) => each.id === segment)?.filters ?? [];

  if (made?.url !== undefined) {
    return (
      <Once
        name="link"
        lead={t('links.made')}
        label={t('links.address')}
        text={made.url}
        done={t('links.done')}
        onDone={() => {
          changed();
          location.hash = writePlace('links');
        }}
      />
    );
  }
  const change = (at: number, row: FilterRow) => setRows(rows.with(at, row));
  return (
    <Card title={t('links.new')} name="link">
      <Form
        name="link"
        deed={deed}
        submit={t('links.make')}
        onSubmit={(form) =>
          void deed.run(async () => {
            setMade(await put(site.id, 'link', linkOf(typedOf(form), taken, rows, Date.now())));
          })
        }
      >
        <Text name="name" label={t('settings.name')} hint={t('links.name_hint')} most={MAX_NAME_BYTES} required />
        <Choice
          name="days"
          label={t('links.days')}
          value="90"
          required
          options={LINK_DAYS.map((days) => [days, daysText(words, days)] as const)}
        />
        <fieldset class="field-wide settings-narrow" data-field="filters">
          <legend>{t('links.narrow')}</legend>
          {kept.segments.length > 0 && (
            <Choice
              name="segment"
              label={t('links.segment')}
              value={segment}
              options={[
                ['', t('links.no_segment')] as const,
                ...kept.segments
                  .filter((each) => each.filters.length <= MAX_LINK_FILTERS)
                  .map((each) => [each.id, each.name] as const),
              ]}
              onValue={setSegment}
            />
          )}
          {taken.length > 0 && <FiltersText filters={taken} />}
          {rows.map((row, at) => (
            <Narrowing
              key={at}
              at={at}
              row={row}
              onRow={(next) => change(at, next)}
              onDrop={() => setRows(rows.filter((_, index) => index !== at))}
            />
          ))}
          {taken.length + rows.length < MAX_LINK_FILTERS ? (
            <button
              type="button"
              class="button"
              data-add-filter
              onClick={() => setRows([...rows, { dimension: 'visit:utm_campaign', operator: 'is', value: '' }])}
            >
              <Icon name="plus" />
              {t('links.add_filter')}
            </button>
          ) : (
            <p class="field-hint">{t('links.too_many', { number: format.number(MAX_LINK_FILTERS) })}</p>
          )}
        </fieldset>
      </Form>
    </Card>
  );
}

interface NarrowingProps {
  readonly at: number;
  readonly row: FilterRow;
  readonly onRow: (row: FilterRow) => void;
  readonly onDrop: () => void;
}

function Narrowing({ at, row, onRow, onDrop }: NarrowingProps) {
  const { t, find, format } = useSettings();
  const known = useKnown(row.dimension);
  const number = format.number(at + 1);
  return (
    <fieldset class="settings-filter">
      <legend class="visually-hidden">{t('links.filter', { number })}</legend>
      <Choice
        name={`dimension-${at}`}
        label={t('links.dimension')}
        value={row.dimension}
        required
        options={NARROWED.map(([dimension, id]) => [dimension, find(`dimension.${id}`) ?? dimension] as const)}
        onValue={(dimension) => onRow({ ...row, dimension })}
      />
      <Choice
        name={`operator-${at}`}
        label={t('links.operator')}
        value={row.operator}
        required
        options={OPERATORS.map((each) => [each, t(`operator.${each}`)] as const)}
        onValue={(operator) => onRow({ ...row, operator: operator as Operator })}
      />
      <Text
        name={`value-${at}`}
        label={t('links.value')}
        value={row.value}
        most={MAX_VALUE_BYTES}
        known={known}
        required
        onValue={(value) => onRow({ ...row, value })}
      />
      <button type="button" class="icon-button" aria-label={t('links.drop_filter', { number })} onClick={onDrop}>
        <Icon name="close" />
      </button>
    </fieldset>
  );
}

function daysText({ t, format }: ReturnType<typeof useSettings>, days: string): string {
  if (days === '') return t('links.never');
  if (days === '365') return t('links.days_year');
  return t('links.days_count', { count: Number(days), number: format.number(Number(days)) });
}
