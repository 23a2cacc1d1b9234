/** Which days are looked at, and what they are compared with. */
import { useId, useState } from 'preact/hooks';
import {
  comparedDays,
  daysAt,
  GUARDED_PERIOD_GROUPS,
  PERIOD_GROUPS,
  rangePeriod,
  shifted,
  unitOf,
  wholeUnit,
  type Compare,
  type Now,
  type Period,
  type Unit,
} from '../model/period';
import type { View } from '../model/view';
import { useWords, type Words } from '../words/language';
import { Icon } from './icons';
import { Popover } from './popover';

const COMPARES: readonly Compare[] = ['previous', 'year', 'none'];
const UNITS: readonly Unit[] = ['day', 'week', 'month'];

interface Props {
  readonly view: Pick<View, 'period' | 'compare' | 'weekdays'>;
  readonly now: Now;
  readonly onPeriod: (period: Period) => void;
  /** Absent where nothing is compared. */
  readonly onCompare?: (compare: Compare, weekdays: boolean) => void;
}

export function PeriodPicker({ view, now, onPeriod, onCompare }: Props) {
  const { period } = view;
  const spoken = useWords();
  const { t, format } = spoken;
  const guarded = now.guarded === true;
  const days = daysAt(period, now);
  const earlier = shifted(period, days, now.today, -1, guarded);
  const later = shifted(period, days, now.today, 1, guarded);
  const name = periodName(spoken, period);

  return (
    <div class="period" data-period={period} data-from={days?.from} data-to={days?.to}>
      <Step direction="earlier" to={earlier} onPeriod={onPeriod} />
      <Popover
        align="end"
        class="period-popover"
        label={
          <>
            <span class="visually-hidden">{t('period.label')}: </span>
            <span class="period-name">{name ?? (days && format.days(days))}</span>
            {name && days && <span class="period-days">{format.days(days)}</span>}
            <Icon name="down" />
          </>
        }
      >
        {(close) => (
          <div class="period-panel">
            <div class="period-groups">
              {(guarded ? GUARDED_PERIOD_GROUPS : PERIOD_GROUPS).map((group, index) => (
                <div class="period-group" key={index}>
                  {group.map((each) => (
                    <button
                      key={each}
                      type="button"
                      data-item
                      data-period-choice={each}
                      class="item"
                      aria-pressed={each === period}
                      onClick={() => {
                        onPeriod(each);
                        close();
                      }}
                    >
                      {periodName(spoken, each)}
                      {each === period && <Icon name="check" />}
                    </button>
                  ))}
                </div>
              ))}
            </div>
            <div class="period-side">
              {guarded ? (
                <OtherUnit
                  unit={(days && unitOf(days)) ?? 'month'}
                  day={days?.from ?? now.today}
                  today={now.today}
                  onPeriod={(chosen) => {
                    onPeriod(chosen);
                    close();
                  }}
                />
              ) : (
                <CustomDays
                  title={t('period.custom')}
                  from={days?.from ?? now.today}
                  to={days?.to ?? now.today}
                  today={now.today}
                  onPeriod={(chosen) => {
                    onPeriod(chosen);
                    close();
                  }}
                />
              )}
              {onCompare && <CompareChoice view={view} now={now} onCompare={onCompare} />}
            </div>
          </div>
        )}
      </Popover>
      <Step direction="later" to={later} onPeriod={onPeriod} />
    </div>
  );
}

function CompareChoice({ view, now, onCompare }: Required<Omit<Props, 'onPeriod'>>) {
  const { t, format } = useWords();
  const { period, compare, weekdays } = view;
  const own = compare.includes('..');
  const days = daysAt(period, now);
  const compared = comparedDays(period, days, compare, weekdays);
  const [open, setOpen] = useState(own);
  return (
    <fieldset class="choice" data-compare={compare}>
      <legend>{t('compare.label')}</legend>
      {COMPARES.map((each) => (
        <label class="radio" key={each}>
          <input
            type="radio"
            name="compare"
            value={each}
            checked={each === compare && !open}
            onChange={() => {
              setOpen(false);
              onCompare(each, weekdays);
            }}
          />
          {t(`compare.${each}` as 'compare.none')}
        </label>
      ))}
      {!now.guarded && (
        <>
          <label class="radio">
            <input type="radio" name="compare" value="own" checked={open} onChange={() => setOpen(true)} />
            {t('compare.own')}
          </label>
          {open && compared && (
            <CustomDays
              title={t('compare.own')}
              hideTitle
              submit={t('compare.apply')}
              from={compared.from}
              to={compared.to}
              today={now.today}
              onPeriod={(chosen) => onCompare(chosen, weekdays)}
            />
          )}
          <label class="radio">
            <input
              type="checkbox"
              data-weekdays
              checked={weekdays}
              disabled={compare === 'none'}
              onChange={(event) => onCompare(compare, event.currentTarget.checked)}
            />
            {t('compare.weekdays')}
          </label>
        </>
      )}
      {compared && <p class="compare-days">{format.days(compared)}</p>}
    </fieldset>
  );
}

interface UnitProps {
  readonly unit: Unit;
  readonly day: string;
  readonly today: string;
  readonly onPeriod: (period: Period) => void;
}

/** Another day, week or month: what the guard of small counts lets be asked. */
function OtherUnit({ unit: first, day: firstDay, today, onPeriod }: UnitProps) {
  const { t, format } = useWords();
  const [unit, setUnit] = useState(first);
  const [day, setDay] = useState(firstDay);
  const whole = day === '' ? null : wholeUnit(unit, day);
  return (
    <form
      class="custom-days"
      data-form="unit"
      onSubmit={(event) => {
        event.preventDefault();
        if (whole) onPeriod(rangePeriod(whole.from, whole.to));
      }}
    >
      <fieldset class="choice">
        <legend>{t('period.unit')}</legend>
        <div class="segments">
          {UNITS.map((each) => (
            <button key={each} type="button" data-unit={each} aria-pressed={each === unit} onClick={() => setUnit(each)}>
              {t(`period.unit_${each}`)}
            </button>
          ))}
        </div>
        <label class="custom-field">
          <span>{t('period.unit_with')}</span>
          <input type="date" name="day" max={today} value={day} required onInput={(event) => setDay(event.currentTarget.value)} />
        </label>
        {whole && <p class="compare-days">{format.days(whole)}</p>}
        <button type="submit" class="button">
          {t('period.apply')}
        </button>
      </fieldset>
    </form>
  );
}

interface StepProps {
  readonly direction: 'earlier' | 'later';
  readonly to: Period | null;
  readonly onPeriod: (period: Period) => void;
}

function Step({ direction, to, onPeriod }: StepProps) {
  const { t } = useWords();
  const name = t(`period.${direction}`);
  return (
    <button
      type="button"
      class="period-step"
      aria-label={name}
      title={name}
      disabled={to === null}
      onClick={() => to !== null && onPeriod(to)}
    >
      <Icon name={direction === 'earlier' ? 'left' : 'right'} />
    </button>
  );
}

interface CustomProps {
  readonly title: string;
  /** It stands beside the fields already. */
  readonly hideTitle?: boolean;
  readonly submit?: string;
  readonly from: string;
  readonly to: string;
  readonly today: string;
  readonly onPeriod: (period: Period) => void;
}

function CustomDays({ title, hideTitle = false, submit, from, to, today, onPeriod }: CustomProps) {
  const { t } = useWords();
  const id = useId();
  const [first, setFirst] = useState(from);
  const [last, setLast] = useState(to);
  const wrong = first > last;
  return (
    <form
      class="custom-days"
      onSubmit={(event) => {
        event.preventDefault();
        if (first !== '' && last !== '' && !wrong) onPeriod(rangePeriod(first, last));
      }}
    >
      <fieldset class="choice">
        <legend class={hideTitle ? 'visually-hidden' : ''}>{title}</legend>
        <div class="custom-fields">
          <label>
            <span>{t('period.from')}</span>
            <input
              type="date"
              name="from"
              max={today}
              value={first}
              required
              aria-describedby={wrong ? id : undefined}
              onInput={(event) => setFirst(event.currentTarget.value)}
            />
          </label>
          <label>
            <span>{t('period.to')}</span>
            <input
              type="date"
              name="to"
              max={today}
              value={last}
              required
              aria-describedby={wrong ? id : undefined}
              onInput={(event) => setLast(event.currentTarget.value)}
            />
          </label>
        </div>
        {wrong && (
          <p class="field-error" id={id} role="alert">
            {t('period.order')}
          </p>
        )}
        <button type="submit" class="button" disabled={wrong}>
          {submit ?? t('period.apply')}
        </button>
      </fieldset>
    </form>
  );
}

/** The name of a period that has one. */
export function periodName({ t, find, format }: Words, period: Period): string | undefined {
  const days = /^(\d+)d$/.exec(period)?.[1];
  if (days !== undefined) return t('period.days', { count: Number(days), number: format.number(Number(days)) });
  return find(`period.${period}`);
}
