/**
 * Statistics of addresses by tokens: over time, on a map, as a table that is
 * narrowed by a click. What is looked at is kept while the page is open, and in
 * no address.
 */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import {
  addresses,
  ORDERS,
  PURPOSES,
  type AddressAnswer,
  type AddressQuestion,
  type By,
  type Numbers,
  type Order,
  type Purpose,
} from '../../api/security';
import { wallClock } from '../../model/calendar';
import { rangePeriod, type Now } from '../../model/period';
import { headingOf, useKeptFocus } from '../../officer/parts/focus';
import { useLoaded } from '../../officer/parts/load';
import { Region } from '../../officer/parts/region';
import { Card } from '../../officer/parts/shown';
import { Graph } from '../../panels/graph';
import { WorldMap } from '../../panels/map';
import { Icon } from '../../parts/icons';
import { PeriodPicker } from '../../parts/period-picker';
import { useHere } from '../here';
import {
  countryRows,
  FIRST_LOOK,
  isTrouble,
  KINDS,
  mapQuestion,
  MAX_ROWS,
  narrowed,
  narrowings,
  numbersOf,
  ROWS,
  seriesOf,
  shortened,
  tableQuestion,
  timeQuestion,
  TROUBLES,
  widened,
  type Asking,
  type Kind,
  type Look,
} from '../model/addresses';
import { useSecurity } from '../words';
import { said } from '../words/said';
import { OpenDialog } from './open';
import { Save } from './save';
import { AddressTable } from './table';

/** How often the clock moves on, in milliseconds: it says which days can be chosen, and when a new one has begun. */
const TICK_MS = 60_000;

/** Nothing is asked before it is said what for: each question stands in the audit trail with its purpose. */
export function Addresses() {
  const { t } = useSecurity();
  const { purpose, onPurpose } = useHere();
  const [turn, setTurn] = useState(0);
  return (
    <div class="office-stack">
      <p class="office-lead">{t('addresses.lead')}</p>
      <div class="office-bar">
        <label class="bar-field">
          <span>{t('addresses.purpose')}</span>
          <select name="purpose" data-looking-for required onChange={(event) => onPurpose(event.currentTarget.value as Purpose)}>
            {purpose === null && (
              <option value="" selected disabled>
                {t('addresses.purpose_none')}
              </option>
            )}
            {PURPOSES.map((each) => (
              <option key={each} value={each} selected={each === purpose}>
                {t(`purpose.${each}`)}
              </option>
            ))}
          </select>
        </label>
        {purpose !== null && (
          <button type="button" class="button" data-addresses-again onClick={() => setTurn((count) => count + 1)}>
            {t('security.again')}
          </button>
        )}
      </div>
      {purpose === null ? (
        <p class="office-note">{t('addresses.purpose_first')}</p>
      ) : (
        <Statistics purpose={purpose} turn={turn} />
      )}
    </div>
  );
}

/** An answer about rows, with what it was asked about: it stays while the next one is waited for. */
interface Table {
  readonly asking: Asking;
  readonly look: Look;
  readonly answer: AddressAnswer;
}

interface Timeline {
  readonly by: By;
  readonly now: Now;
  readonly answer: AddressAnswer;
}

interface StatisticsProps {
  readonly purpose: Purpose;
  /** Another one asks all of it again. */
  readonly turn: number;
}

function Statistics({ purpose, turn }: StatisticsProps) {
  const words = useSecurity();
  const { t, language } = words;
  const { site } = useHere();
  const zone = site.timezone;
  const clock = useClock(zone);
  const [look, setLook] = useState<Look>(FIRST_LOOK);
  const [names, setNames] = useState<Readonly<Record<string, string>>>({});
  const [opening, setOpening] = useState<string | null>(null);
  // Of the moment when somebody chose something: a page that is left open asks nothing by itself when a day begins.
  const now = useMemo(() => nowIn(zone), [zone, purpose, look, turn]);
  const isOld = clock.today > now.today;
  const asking = { site: site.id, purpose, now };
  const page = useRef<HTMLDivElement>(null);
  // A way back that was taken is gone: the table is what it led to.
  useKeptFocus(page, (part) => headingOf(part.querySelector<HTMLElement>('[data-region=addresses]') ?? part));

  const [inTable, inTime, onMap] = [tableQuestion, timeQuestion, mapQuestion].map((question) => question(asking, look)) as
    [ReturnType<typeof tableQuestion>, ReturnType<typeof timeQuestion>, ReturnType<typeof mapQuestion>];
  const keyOf = (question: AddressQuestion) => `${turn} ${JSON.stringify(question)}`;
  const table = useLoaded(
    keyOf(inTable),
    async (signal): Promise<Table> => ({ asking, look, answer: await addresses(inTable, signal) }),
    'table',
  );
  const time = useLoaded(
    keyOf(inTime),
    async (signal): Promise<Timeline> => ({ by: inTime.by, now, answer: await addresses(inTime, signal) }),
    'time',
  );
  const map = useLoaded(keyOf(onMap), (signal) => addresses(onMap, signal), 'map');
  const what = t(`order.${look.order}`);
  const zoom = (from: string, to: string) => setLook((before) => ({ ...before, period: rangePeriod(from, to), rows: ROWS }));

  return (
    <div class="office-stack" ref={page} data-look-by={look.by} data-look-order={look.order}>
      <Bar look={look} now={isOld ? clock : now} onLook={setLook} />
      {isOld && (
        <p class="office-note" role="status" data-new-day={clock.today}>
          {t('addresses.new_day', { day: words.day(now.today) })}
        </p>
      )}
      <Narrowings look={look} names={names} onWide={(kind) => setLook((before) => widened(before, kind))} />
      <Card title={t('addresses.timeline', { what })} name="timeline">
        <Region name="timeline" load={time}>
          {({ by, now: then, answer }) => (
            <>
              <Totals totals={answer.totals} orders={numbersOf(answer, look)} />
              <Graph
                metric="events"
                name={what}
                interval={by === 'time:hour' ? 'hour' : 'day'}
                series={seriesOf(answer, by, look.order, then)}
                before={null}
                few={null}
                flags={[]}
                onZoom={zoom}
              />
            </>
          )}
        </Region>
      </Card>
      <Card title={t('addresses.map', { what })} name="map">
        <Region name="map" load={map}>
          {(answer) => (
            <WorldMap
              rows={countryRows(answer, look.order)}
              isChosen={(country) => look.only.country === country}
              onToggle={(country) =>
                setLook((before) =>
                  before.only.country === country ? widened(before, 'country') : narrowed({ ...before, by: 'country' }, { country }),
                )
              }
              title={t('addresses.map_title', { what })}
              counted={(value) => t('addresses.counted', { what, number: words.format.number(value) })}
            />
          )}
        </Region>
      </Card>
      <Region
        name="addresses"
        load={table}
        empty={t('addresses.empty')}
        isEmpty={({ answer }) => answer.results.length === 0}
      >
        {({ answer, asking, look: shown }) => (
          <AddressTable
            answer={answer}
            look={shown}
            zone={zone}
            save={<Save asking={asking} look={shown} />}
            onNarrow={(only, name) => {
              setNames((before) => ({ ...before, [shown.by]: name }));
              // What was clicked is a row of what is shown, whatever has been chosen since.
              setLook((before) => narrowed({ ...before, by: shown.by, only: shown.only }, only));
            }}
            onMore={
              answer.results.length < answer.total_rows && shown.rows < MAX_ROWS
                ? () => setLook((before) => ({ ...before, rows: Math.min(MAX_ROWS, shown.rows * 10) }))
                : null
            }
            onOpen={setOpening}
          />
        )}
      </Region>
      {table.answer && <Notes answer={table.answer.answer} language={language} />}
      {opening !== null && <OpenDialog site={site} token={opening} onClose={() => setOpening(null)} />}
    </div>
  );
}

interface BarProps {
  readonly look: Look;
  readonly now: Now;
  readonly onLook: (change: (before: Look) => Look) => void;
}

function Bar({ look, now, onLook }: BarProps) {
  const { t } = useSecurity();
  const order = (chosen: Order) => onLook((before) => ({ ...before, order: chosen, rows: ROWS }));
  return (
    <>
      <div class="office-bar security-bar">
        <PeriodPicker
          view={{ period: look.period, compare: 'none', weekdays: false }}
          now={now}
          onPeriod={(period) => onLook((before) => ({ ...before, period, rows: ROWS }))}
        />
        <fieldset class="choice">
          <legend>{t('addresses.by')}</legend>
          <div class="segments">
            {KINDS.map((each) => (
              <button
                key={each}
                type="button"
                data-by={each}
                aria-pressed={each === look.by}
                onClick={() => onLook((before) => ({ ...before, by: each, rows: ROWS }))}
              >
                {t(`by.${each}`)}
              </button>
            ))}
          </div>
        </fieldset>
        <label class="bar-field">
          <span>{t('addresses.order')}</span>
          <select name="order" value={look.order} onChange={(event) => order(event.currentTarget.value as Order)}>
            {ORDERS.map((each) => (
              <option key={each} value={each}>
                {t(`order.${each}`)}
              </option>
            ))}
          </select>
        </label>
      </div>
      <div class="office-bar security-bar" role="group" aria-labelledby="security-trouble">
        <p id="security-trouble" class="security-trouble">
          {t('addresses.trouble')}
        </p>
        {TROUBLES.map((each) => (
          <button
            key={each}
            type="button"
            class="button"
            data-trouble={each}
            aria-pressed={look.order === each}
            onClick={() => order(isTrouble(look) && look.order === each ? 'hits' : each)}
          >
            {t(`trouble.${each}`)}
          </button>
        ))}
      </div>
    </>
  );
}

interface NarrowingsProps {
  readonly look: Look;
  /** As the table called them. */
  readonly names: Readonly<Record<string, string>>;
  readonly onWide: (kind: Kind) => void;
}

function Narrowings({ look, names, onWide }: NarrowingsProps) {
  const { t, format } = useSecurity();
  const all = narrowings(look);
  if (all.length === 0) return null;
  const nameOf = (kind: Kind, value: string | number): string => {
    if (kind === 'country') return value === '' ? t('value.unknown') : format.country(String(value));
    return names[kind] ?? (kind === 'asn' ? `AS${value}` : shortened(String(value)));
  };
  return (
    <ul class="security-chips" aria-label={t('addresses.only')}>
      {all.map(([kind, value]) => {
        const name = nameOf(kind, value);
        return (
          <li class="chip" key={kind} data-only={kind}>
            <span class="chip-text" title={String(value)}>
              {t(`one.${kind}`)} <b>{name}</b>
            </span>
            <button
              type="button"
              class="chip-remove"
              aria-label={t('addresses.all_again', { what: t(`by.${kind}`) })}
              onClick={() => onWide(kind)}
            >
              <Icon name="close" />
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function Totals({ totals, orders }: { readonly totals: Numbers; readonly orders: readonly Order[] }) {
  const { t, format } = useSecurity();
  return (
    <ul class="counts" aria-label={t('addresses.totals')}>
      {orders.map((each) => (
        <li key={each} data-total={each} data-value={totals[each]}>
          <b>{format.number(totals[each])}</b>
          <span>{t(`order.${each}`)}</span>
        </li>
      ))}
    </ul>
  );
}

function Notes({ answer, language }: { readonly answer: AddressAnswer; readonly language: 'en' | 'ru' }) {
  return (
    <div data-notes={answer.notes.length}>
      {answer.notes.map((note) => (
        <p class="office-note" key={note}>
          {said(language, note)}
        </p>
      ))}
    </div>
  );
}

/** The site's clock, which goes on while the page is open. */
function useClock(timezone: string): Now {
  const [now, setNow] = useState(() => nowIn(timezone));
  useEffect(() => {
    const timer = setInterval(() => setNow(nowIn(timezone)), TICK_MS);
    return () => clearInterval(timer);
  }, [timezone]);
  return now;
}

function nowIn(timezone: string): Now {
  const [today, time] = wallClock(new Date(), timezone);
  return { today, time, timezone };
}
