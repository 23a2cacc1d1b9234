/** The clocks of an incident: how long is left, in words; what is late is said and red. */
import { type Clock, type Incident, type IncidentStep } from '../../api/officer';
import { clockState, remaining } from '../model/due';
import { useNow } from '../office';
import { State } from '../parts/shown';
import { useOffice } from '../words';

/** The step that the law asks for without undue delay. */
const INFORMED: IncidentStep = 'subjects_informed';

interface ClockProps {
  readonly clock: Clock;
  readonly now: number;
  /** With the name of what has to be done. */
  readonly named?: boolean;
}

export function ClockText({ clock, now, named = false }: ClockProps) {
  const { t, find, remaining: say } = useOffice();
  const state = clockState(clock, now);
  const name = named ? `${find(`step.${clock.name}`) ?? clock.name}: ` : '';
  const text =
    state === 'done' || state === 'done-late' ? t(`clock.${state}`) : say(remaining(clock.due, now));
  return (
    <span data-clock={clock.name} data-clock-state={state}>
      <State tone={state === 'done' ? 'good' : state === 'running' ? 'warn' : 'bad'} text={name + text} />
    </span>
  );
}

interface Props {
  readonly incident: Incident;
  readonly zone: string;
  readonly busy: boolean;
  readonly onStep: (step: string) => void;
}

/** Every clock with its article, and a button for what has been done. */
export function Clocks({ incident, zone, busy, onStep }: Props) {
  const { t, find, moment, law } = useOffice();
  const now = useNow();
  const names = new Set(incident.clocks.map((clock) => clock.name));
  const open = incident.state === 'open';
  // What has no term in hours has no clock either; that it is done stands in the history.
  const informed = incident.history.some((change) => change.what === `done: ${INFORMED}`);
  const others = open && !informed && !names.has(INFORMED) ? [INFORMED] : [];
  const button = (step: string) => (
    <button type="button" class="button" data-done={step} aria-disabled={busy} onClick={() => onStep(step)}>
      {t('incidents.mark_done')}
      <span class="visually-hidden">: {find(`step.${step}`) ?? step}</span>
    </button>
  );
  return (
    <ul class="clocks">
      {incident.clocks.map((clock) => (
        <li key={clock.name}>
          <div>
            <p class="clock-name">{find(`step.${clock.name}`) ?? clock.name}</p>
            <p class="sheet-more">
              {t('clock.within', { count: clock.hours, number: clock.hours, at: moment(clock.due, zone) })}
              {clock.article !== '' && `, ${law(clock.article)}`}
              {clock.done !== null && `. ${t('clock.done_at', { at: moment(clock.done, zone) })}`}
            </p>
          </div>
          <ClockText clock={clock} now={now} />
          {open && clock.done === null && button(clock.name)}
        </li>
      ))}
      {others.map((step) => (
        <li key={step}>
          <p class="clock-name">{find(`step.${step}`) ?? step}</p>
          <span class="sheet-more">{t('clock.none')}</span>
          {button(step)}
        </li>
      ))}
    </ul>
  );
}
