/** The table: what each row is of, where it is, its numbers; a row's name narrows to it. */
import type { ComponentChildren } from 'preact';
import { useMemo } from 'preact/hooks';
import type { AddressAnswer, AddressRow, Only, Order } from '../../api/security';
import { largest, numbersOf, onlyOf, shortened, type Kind, type Look } from '../model/addresses';
import { useSecurity, type SecurityWords } from '../words';

/** So many reasons, marks and errors are named under a number. */
const NAMED = 2;

interface Props {
  readonly answer: AddressAnswer;
  readonly look: Look;
  readonly zone: string;
  readonly save: ComponentChildren;
  readonly onNarrow: (only: Only, name: string) => void;
  /** Null where all are shown, or as many as may be. */
  readonly onMore: (() => void) | null;
  readonly onOpen: (token: string) => void;
}

export function AddressTable({ answer, look, zone, save, onNarrow, onMore, onOpen }: Props) {
  const words = useSecurity();
  const { t, format, language } = words;
  const { by, order } = look;
  const numbers = numbersOf(answer, look);
  // In so few letters that a line takes it.
  const clock = useMemo(
    () =>
      new Intl.DateTimeFormat(language, {
        timeZone: zone,
        day: 'numeric',
        month: 'short',
        hour: '2-digit',
        minute: '2-digit',
        hourCycle: 'h23',
      }),
    [language, zone],
  );
  const hasPlace = by === 'address' || by === 'network';
  const rows = answer.results;
  return (
    <section class="card sheet-card security-table" data-by={by} data-total-rows={answer.total_rows}>
      <div class="office-bar security-table-head">
        {/* Whoever chose something is told that its rows are there. */}
        <h2 aria-live="polite">
          {t('addresses.table', { count: answer.total_rows, number: format.number(answer.total_rows), what: t(`order.${order}`) })}
        </h2>
        {save}
      </div>
      <table class="sheet">
        <caption class="visually-hidden">{t(`by.${by}`)}</caption>
        <thead>
          <tr>
            <th scope="col">{t(`one.${by}`)}</th>
            {hasPlace && <th scope="col">{t('addresses.where')}</th>}
            {numbers.map((each) => (
              <th scope="col" class="amount" key={each} aria-sort={each === order ? 'descending' : undefined}>
                {t(`order.${each}`)}
              </th>
            ))}
            <th scope="col">{t('addresses.times')}</th>
            {by === 'address' && (
              <th scope="col">
                <span class="visually-hidden">{t('addresses.acts')}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <TableRow
              key={keyOf(by, row) ?? index}
              row={row}
              by={by}
              numbers={numbers}
              zone={zone}
              clock={clock}
              only={look.only}
              onNarrow={onNarrow}
              onOpen={onOpen}
            />
          ))}
        </tbody>
      </table>
      {rows.length < answer.total_rows && (
        <div class="office-bar security-table-foot">
          <p>{t('addresses.shown', { shown: format.number(rows.length) })}</p>
          {onMore && (
            <button type="button" class="button" data-more onClick={onMore}>
              {t('addresses.more')}
            </button>
          )}
        </div>
      )}
    </section>
  );
}

interface RowProps {
  readonly row: AddressRow;
  readonly by: Kind;
  readonly numbers: readonly Order[];
  readonly zone: string;
  readonly clock: Intl.DateTimeFormat;
  readonly only: Only;
  readonly onNarrow: Props['onNarrow'];
  readonly onOpen: Props['onOpen'];
}

function TableRow({ row, by, numbers, zone, clock, only: before, onNarrow, onOpen }: RowProps) {
  const words = useSecurity();
  const { t, format, find } = words;
  const name = nameOf(words, by, row);
  const key = keyOf(by, row);
  const only = onlyOf(by, row);
  // Whoever is looked at alone cannot be looked at closer.
  const isAlone = only !== null && before[by] === only[by];
  const named = (counts: Readonly<Record<string, number>>, prefix: string) =>
    largest(counts, NAMED).map(([reason, count]) => (
      <span class="sheet-more" key={reason}>
        {find(`${prefix}.${reason}`) ?? reason}: {format.number(count)}
      </span>
    ));
  return (
    <tr data-row={key ?? ''}>
      <th scope="row" title={key}>
        {only === null || isAlone ? (
          <span class={key && by !== 'country' && by !== 'asn' ? 'hash' : ''}>{name}</span>
        ) : (
          <button
            type="button"
            class={`security-narrow ${by === 'address' || by === 'network' ? 'hash' : ''}`}
            data-narrow={key}
            aria-label={t('addresses.narrow', { what: name })}
            onClick={() => onNarrow(only, name)}
          >
            {name}
          </button>
        )}
        {row.addresses != null && (
          <span class="sheet-more">
            {t('addresses.of_network', { count: row.addresses, number: format.number(row.addresses) })}
          </span>
        )}
        {row.key_destroyed === true && by === 'address' && <span class="sheet-more">{t('addresses.destroyed')}</span>}
      </th>
      {(by === 'address' || by === 'network') && (
        <td data-label={t('addresses.where')}>
          {row.country ? format.country(row.country) : t('value.unknown')}
          {row.asn ? <span class="sheet-more">{`AS${row.asn} ${row.asn_name ?? ''}`}</span> : null}
        </td>
      )}
      {numbers.map((each) => (
        <td key={each} class="amount" data-label={t(`order.${each}`)} data-column={each} data-value={row[each]}>
          {format.number(row[each])}
          {each === 'refused' && named(row.reasons, 'refusal')}
          {each === 'marked' && named(row.marks, 'mark')}
          {each === 'errors' && named(row.error_names, 'error')}
        </td>
      ))}
      <td data-label={t('addresses.times')}>
        {row.first && <Moment at={row.first} zone={zone} clock={clock} />}
        {row.last && row.last !== row.first && (
          <span class="sheet-more">
            <Moment at={row.last} zone={zone} clock={clock} />
          </span>
        )}
      </td>
      {by === 'address' && (
        <td class="security-act">
          {row.address != null && row.key_destroyed !== true && (
            <button
              type="button"
              class="button"
              data-open={row.address}
              aria-label={t('open.named', { what: name })}
              onClick={() => onOpen(row.address ?? '')}
            >
              {t('open.do')}
            </button>
          )}
        </td>
      )}
    </tr>
  );
}

/** The whole of it, with the year, is its title. */
function Moment({ at, zone, clock }: { readonly at: string; readonly zone: string; readonly clock: Intl.DateTimeFormat }) {
  const { moment } = useSecurity();
  const whole = moment(at, zone);
  const instant = new Date(at);
  return (
    <time class="security-moment" dateTime={at} title={whole}>
      {instant.getFullYear() === new Date().getFullYear() ? clock.format(instant) : whole}
    </time>
  );
}

/** The whole name of a row, for the title and for tests; undefined where it has none. */
function keyOf(by: Kind, row: AddressRow): string | undefined {
  const key = row[by];
  return key === null || key === undefined ? undefined : String(key);
}

function nameOf({ t, format }: SecurityWords, by: Kind, row: AddressRow): string {
  switch (by) {
    case 'address':
      return row.address == null ? t('addresses.none') : shortened(row.address);
    case 'network':
      if (row.network != null) return shortened(row.network);
      return t(row.key_destroyed ? 'addresses.destroyed' : 'addresses.no_network');
    case 'asn':
      return row.asn ? `AS${row.asn} ${row.asn_name ?? ''}`.trim() : t('addresses.unknown_asn');
    case 'country':
      return row.country ? format.country(row.country) : t('value.unknown');
  }
}
