/** Who has come over the threshold since the server started; one of them is picked to be checked. */
import { latestAlerts, type Alert } from '../../api/security';
import { useLoaded } from '../../officer/parts/load';
import { Region } from '../../officer/parts/region';
import { Card } from '../../officer/parts/shown';
import { useHere } from '../here';
import { useSecurity } from '../words';

/** So many are shown, the latest first. */
const SHOWN = 20;

interface Props {
  /** The keyed hash of a visitor. */
  readonly onPick: (subject: string) => void;
}

export function Alerts({ onPick }: Props) {
  const { t } = useSecurity();
  const { site } = useHere();
  const load = useLoaded(`alerts ${site.id}`, (signal) => latestAlerts(site.id, SHOWN, signal));
  const again = (
    <button type="button" class="button" data-alerts-again onClick={load.again}>
      {t('security.again')}
    </button>
  );
  return (
    <Card title={t('alerts.title')} name="alerts" action={again}>
      <p class="office-lead">{t('alerts.lead')}</p>
      <Region name="alerts" load={load} empty={t('alerts.none')} isEmpty={(latest) => latest.length === 0}>
        {(latest) => (
          <ul class="signals">
            {[...latest].reverse().map((alert) => (
              <Line key={alert.number} alert={alert} zone={site.timezone} onPick={onPick} />
            ))}
          </ul>
        )}
      </Region>
    </Card>
  );
}

function Line({ alert, zone, onPick }: { readonly alert: Alert; readonly zone: string } & Props) {
  const { t, find, format, moment } = useSecurity();
  const at = moment(alert.at_ms, zone);
  return (
    <li class="security-alert" data-alert={alert.subject}>
      <b>{at}</b>
      <span class="signal-points">{t('signals.points', { count: alert.score, number: format.number(alert.score) })}</span>
      <p class="signal-about">{alert.rules.map(([rule]) => find(`rule.${rule}`) ?? rule).join('; ')}</p>
      <button type="button" class="button" aria-label={t('alerts.pick_of', { at })} onClick={() => onPick(alert.subject)}>
        {t('alerts.pick')}
      </button>
    </li>
  );
}
