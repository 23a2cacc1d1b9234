/** Which days are looked at, and what they are compared with. */
import { useId, useState } from 'preact/hooks';
import { daysOf, PERIOD_GROUPS, rangePeriod, shifted, type Compare, type Now, type Period } from '../model/period';
import { useWords, type Words } from '../words/language';
import { Icon } from './icons';
import { Popover } from './popover';

const COMPARES: readonly Compare[] = ['previous', 'year', 'none'];

interface Props {
  readonly period: Period;
  readonly compare: Compare;
  readonly now: Now;
  readonly onPeriod: (period: Period) => void;
  readonly onCompare: (compare: Compare) => void;
}

export function PeriodPicker({ period, compare, now, onPeriod, onCompare }: Props) {
  const spoken = useWords();
  const { t, format } = spoken;
  const days = daysOf(period, now.today);
  const earlier = shifted(period, days, now.today, -1);
  const later = shifted(period, days, now.today, 1);
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
              {PERIOD_GROUPS.map((group, index) => (
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
              <CustomDays
                from={days?.from ?? now.today}
                to={days?.to ?? now.today}
                today={now.today}
                onPeriod={(chosen) => {
                  onPeriod(chosen);
                  close();
                }}
              />
              <fieldset class="choice">
                <legend>{t('compare.label')}</legend>
                {COMPARES.map((each) => (
                  <label class="radio" key={each}>
                    <input
                      type="radio"
                      name="compare"
                      value={each}
                      checked={each === compare}
                      onChange={() => onCompare(each)}
                    />
                    {t(`compare.${each}`)}
                  </label>
                ))}
              </fieldset>
            </div>
          </div>
        )}
      </Popover>
      <Step direction="later" to={later} onPeriod={onPeriod} />
    </div>
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
  readonly from: string;
  readonly to: string;
  readonly today: string;
  readonly onPeriod: (period: Period) => void;
}

function CustomDays({ from, to, today, onPeriod }: CustomProps) {
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
        <legend>{t('period.custom')}</legend>
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
          {t('period.apply')}
        </button>
      </fieldset>
    </form>
  );
}

/** The name of a period that has one. */
function periodName({ t, find, format }: Words, period: Period): string | undefined {
  const days = /^(\d+)d$/.exec(period)?.[1];
  if (days !== undefined) return t('period.days', { count: Number(days), number: format.number(Number(days)) });
  return find(`period.${period}`);
}
