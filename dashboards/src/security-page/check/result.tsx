/** What a check says: the verdict, the score, the place, what was seen, and each rule with its evidence. */
import type { Checked, Location, Seen, Signal, Silence } from '../../api/security';
import { Card, Facts, State, type Fact, type Tone } from '../../officer/parts/shown';
import { barOf } from '../model/check';
import { useSecurity } from '../words';
import { evidenceText, placeName } from '../words/evidence';
import { said } from '../words/said';

const TONES: Readonly<Record<Checked['verdict'], Tone>> = { review: 'bad', plausible: 'good', unknown: 'plain' };

interface Props {
  readonly checked: Checked;
  readonly zone: string;
}

export function CheckResult({ checked, zone }: Props) {
  const words = useSecurity();
  const { t, language } = words;
  return (
    <div class="office-stack" data-state="ready" data-verdict={checked.verdict} data-score={checked.score}>
      <Card title={t('check.answer')} name="verdict">
        <p class="security-verdict">
          <State tone={TONES[checked.verdict]} text={t(`verdict.${checked.verdict}`)} />
        </p>
        <p class="office-lead">{t(`verdict.${checked.verdict}_about`)}</p>
        <Score score={checked.score} threshold={checked.threshold} />
        {checked.notes.map((note) => (
          <p class="office-note" key={note}>
            {said(language, note)}
          </p>
        ))}
      </Card>
      <div class="security-pair">
        <Card title={t('place.title')} name="place">
          <Place location={checked.location} zone={zone} />
        </Card>
        <Card title={t('seen.title')} name="seen">
          <SeenFacts seen={checked.seen} checked={checked} zone={zone} />
        </Card>
      </div>
      <Card title={t('signals.title')} name="signals">
        {checked.signals.length === 0 ? (
          <p class="office-lead">{t('signals.none')}</p>
        ) : (
          <ul class="signals">
            {checked.signals.map((signal) => (
              <SignalItem key={signal.rule} signal={signal} zone={zone} />
            ))}
          </ul>
        )}
        {checked.rules.length > 0 && <Silences rules={checked.rules} />}
      </Card>
    </div>
  );
}

function Score({ score, threshold }: { readonly score: number; readonly threshold: number }) {
  const { t, format } = useSecurity();
  const at = barOf(score, threshold);
  const text = t('check.score', { count: score, score: format.number(score), threshold: format.number(threshold) });
  return (
    <div class="score">
      <div class="score-bar" role="img" aria-label={text} data-over={score >= threshold}>
        <span class="score-fill" style={{ width: `${at.score}%` }} />
        <span class="score-threshold" style={{ left: `${at.threshold}%` }} />
      </div>
      <p aria-hidden="true">{text}</p>
    </div>
  );
}

function SignalItem({ signal, zone }: { readonly signal: Signal; readonly zone: string }) {
  const words = useSecurity();
  const { t, find, format } = words;
  return (
    <li data-signal={signal.rule} data-points={signal.points}>
      <p class="signal-name">
        <b>{find(`rule.${signal.rule}`) ?? signal.rule}</b>
        <span class="signal-points">
          {t('signals.points', { count: signal.points, number: format.number(signal.points) })}
        </span>
      </p>
      <p>{evidenceText(words, signal, zone)}</p>
      <p class="signal-about">{find(`rule.${signal.rule}_about`) ?? signal.about}</p>
    </li>
  );
}

const SILENT: Readonly<Record<Silence['state'], Tone>> = { quiet: 'good', off: 'plain', unknown: 'warn' };

function Silences({ rules }: { readonly rules: readonly Silence[] }) {
  const { t, find, format, language } = useSecurity();
  return (
    <details class="silences" data-silences>
      <summary>{t('signals.others', { count: rules.length, number: format.number(rules.length) })}</summary>
      <ul class="signals">
        {rules.map((rule) => (
          <li key={rule.rule} data-silence={rule.rule} data-silence-state={rule.state}>
            <p class="signal-name">
              <b>{find(`rule.${rule.rule}`) ?? rule.rule}</b>
              <State tone={SILENT[rule.state]} text={t(`silence.${rule.state}`)} />
              <span class="signal-points">
                {t('signals.weight', { count: rule.weight, number: format.number(rule.weight) })}
              </span>
            </p>
            <p class="signal-about">{find(`rule.${rule.rule}_about`) ?? ''}</p>
            {rule.why !== null && <p>{t('signals.why', { why: said(language, rule.why) })}</p>}
          </li>
        ))}
      </ul>
    </details>
  );
}

function Place({ location, zone }: { readonly location: Location | null; readonly zone: string }) {
  const words = useSecurity();
  const { t, find, format, language, moment } = words;
  if (location === null) return <p class="office-lead">{t('place.unknown')}</p>;
  const name = placeName(words, location.country, location.city, location.region);
  const degrees = (value: number, [positive, negative]: readonly [string, string]) =>
    `${format.number(Math.abs(value))}° ${value < 0 ? negative : positive}`;
  const facts: Fact[] = [
    [t('place.where'), name === '' ? t('value.unknown') : name],
    [
      t('place.accuracy'),
      location.accuracy_km === null ? null : t('place.within', { km: format.number(location.accuracy_km) }),
    ],
    [
      t('place.coordinates'),
      location.coordinates === null
        ? null
        : [
            degrees(location.coordinates.latitude, [t('place.north'), t('place.south')]),
            degrees(location.coordinates.longitude, [t('place.east'), t('place.west')]),
          ].join(', '),
    ],
    [t('place.kind'), find(`network.${location.kind}`) ?? location.kind],
    [t('place.network'), location.asn ? `AS${location.asn} ${location.network ?? ''}` : null],
    [t('place.time_zone'), location.time_zone ?? null],
    [
      t('place.scope'),
      location.scope === undefined || location.scope === 'public' ? null : t('place.scope_of', { scope: said(language, location.scope) }),
    ],
    [t('place.at'), location.at === undefined ? null : moment(location.at, zone)],
  ];
  return (
    <div data-country={location.country} data-accuracy={location.accuracy_km ?? ''}>
      <Facts facts={facts} />
    </div>
  );
}

function SeenFacts({ seen, checked, zone }: { readonly seen: Seen | null } & Props) {
  const { t, format, moment } = useSecurity();
  const number = (count: number | undefined) =>
    count === undefined ? null : <span data-value={count}>{format.number(count)}</span>;
  return (
    <>
      {seen === null ? (
        <p class="office-lead">{t('seen.nothing')}</p>
      ) : (
        <Facts
          facts={[
            [t('seen.first'), seen.first === undefined ? null : moment(seen.first, zone)],
            [t('seen.last'), moment(seen.last, zone)],
            [t('seen.hits'), number(seen.hits)],
            [t('seen.addresses'), number(seen.addresses)],
            [t('seen.countries'), number(seen.countries)],
            [t('seen.hits_of_last_day'), number(seen.hits_of_last_day)],
            [t('seen.visitors_of_last_day'), number(seen.visitors_of_last_day)],
            [t('seen.marked_of_last_day'), number(seen.marked_of_last_day)],
          ]}
        />
      )}
      {checked.memory.ready && checked.memory.until_ms > 0 && (
        <p class="office-note">
          {t('seen.memory', {
            count: checked.memory.visitors,
            number: format.number(checked.memory.visitors),
            at: moment(checked.memory.until_ms, zone),
          })}
        </p>
      )}
    </>
  );
}
