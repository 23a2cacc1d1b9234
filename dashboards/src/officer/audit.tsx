/** The audit trail: who did what, when, about whom and why; and the proof that nothing is missing. */
import { useState } from 'preact/hooks';
import { auditEntries, verifyAudit, type AuditActor, type AuditEntry, type Verified } from '../api/officer';
import { AUDIT_ACTIONS } from './model/actions';
import { useOfficeHere } from './office';
import { useDeed } from './parts/deed';
import { Copy } from './parts/file';
import { useLoaded } from './parts/load';
import { Region } from './parts/region';
import { Card, Facts } from './parts/shown';
import { useOffice, type OfficeWords } from './words';

const LENGTHS = [100, 500, 2000] as const;

export function Audit() {
  const words = useOffice();
  const { t, find, format } = words;
  const { chosen, zone } = useOfficeHere();
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const [action, setAction] = useState('');
  const [last, setLast] = useState<number>(LENGTHS[0]);
  const filter = { from, to, action, site_id: chosen, last };
  const load = useLoaded(JSON.stringify(filter), (signal) => auditEntries(filter, signal));
  return (
    <>
      <Verify />
      <div class="office-bar">
        <label class="bar-field">
          <span>{t('audit.from')}</span>
          <input type="date" name="from" value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
        </label>
        <label class="bar-field">
          <span>{t('audit.to')}</span>
          <input type="date" name="to" value={to} onChange={(event) => setTo(event.currentTarget.value)} />
        </label>
        <label class="bar-field">
          <span>{t('audit.action')}</span>
          <select name="action" value={action} onChange={(event) => setAction(event.currentTarget.value)}>
            <option value="">{t('audit.any_action')}</option>
            {AUDIT_ACTIONS.map((each) => (
              <option key={each} value={each}>
                {find(`action.${each}`) ?? each}
              </option>
            ))}
          </select>
        </label>
        <label class="bar-field">
          <span>{t('audit.last')}</span>
          <select name="last" value={last} onChange={(event) => setLast(Number(event.currentTarget.value))}>
            {LENGTHS.map((each) => (
              <option key={each} value={each}>
                {format.number(each)}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Region name="audit" load={load} empty={t('audit.empty')} isEmpty={(answer) => answer.entries.length === 0}>
        {(answer) => <Entries entries={[...answer.entries].sort((a, b) => b.number - a.number)} zone={zone} />}
      </Region>
    </>
  );
}

function Entries({ entries, zone }: { readonly entries: readonly AuditEntry[]; readonly zone: string }) {
  const words = useOffice();
  const { t, moment, find, format, law } = words;
  return (
    <div class="card sheet-card">
      <table class="sheet">
        <caption class="visually-hidden">
          {t('audit.count', { count: entries.length, number: format.number(entries.length) })}
        </caption>
        <thead>
          <tr>
            <th scope="col">№</th>
            <th scope="col">{t('audit.at')}</th>
            <th scope="col">{t('audit.actor')}</th>
            <th scope="col">{t('audit.action')}</th>
            <th scope="col">{t('audit.subject')}</th>
            <th scope="col">{t('audit.why')}</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <tr key={entry.number} data-entry={entry.number} data-action={entry.action}>
              <th scope="row">{entry.number}</th>
              <td data-label={t('audit.at')}>{moment(entry.at, zone)}</td>
              <td data-label={t('audit.actor')}>{actorText(words, entry.actor)}</td>
              <td data-label={t('audit.action')}>
                {find(`action.${entry.action}`) ?? entry.action}
                {entry.cut !== undefined && entry.cut > 0 && (
                  <span class="sheet-more">
                    {t('audit.cut', { count: entry.cut, number: format.number(entry.cut) })}
                  </span>
                )}
              </td>
              <td data-label={t('audit.subject')}>
                {[entry.site, entry.subject].filter(Boolean).join(', ') || '—'}
              </td>
              <td data-label={t('audit.why')}>
                {why(words, entry) || (entry.detail ? '' : '—')}
                {entry.detail && <span class="sheet-more">{law(entry.detail)}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The purpose by its word on the list, and what was said besides: as it was said, unless the product said it. */
function why({ find, law }: OfficeWords, { actor, purpose = '', words = '' }: AuditEntry): string {
  const named = find(`purpose.${purpose}`) ?? purpose;
  const said = actor === 'visitor' ? law(words) : words;
  return [named, said].filter((part) => part !== '').join(': ');
}

export function actorText({ t }: OfficeWords, actor: AuditActor): string {
  if (actor === 'visitor') return t('actor.visitor');
  if ('person' in actor) return actor.person;
  if ('command' in actor) return t('actor.command', { name: actor.command });
  if ('job' in actor) return t('actor.job', { name: actor.job });
  return t('actor.token', { name: actor.token.name });
}

function Verify() {
  const words = useOffice();
  const { t, moment, format } = words;
  const { zone } = useOfficeHere();
  const deed = useDeed(words);
  const [verified, setVerified] = useState<Verified | null>(null);
  return (
    <Card
      title={t('verify.title')}
      name="verify"
      action={
        <button
          type="button"
          class="button"
          data-verify
          aria-disabled={deed.busy}
          onClick={() =>
            void deed.run(async () => {
              setVerified(null);
              setVerified(await verifyAudit());
            })
          }
        >
          {t(deed.busy ? 'form.busy' : 'verify.do')}
        </button>
      }
    >
      <p class="office-lead">{t('verify.lead')}</p>
      <p class="form-problem" role="alert">
        {deed.problem}
      </p>
      <div aria-live="polite" data-verified={verified ? 'yes' : deed.problem === '' ? undefined : 'no'}>
        {verified && (
          <>
            <p class="verdict" data-good="true">
              {t('verify.whole', { count: verified.entries, number: format.number(verified.entries) })}
            </p>
            <Facts
              facts={[
                [t('verify.first'), verified.first && moment(verified.first.at, zone)],
                [t('verify.last'), verified.last && moment(verified.last.at, zone)],
                [
                  t('verify.torn'),
                  verified.torn_bytes > 0
                    ? t('audit.cut', { count: verified.torn_bytes, number: format.number(verified.torn_bytes) })
                    : null,
                ],
              ]}
            />
            <h3>{t('verify.anchor')}</h3>
            <p class="office-lead">{t('verify.anchor_lead')}</p>
            <div class="code">
              <pre tabIndex={0}>
                <code data-anchor={verified.anchor}>{verified.anchor}</code>
              </pre>
              <Copy text={verified.anchor} name={t('verify.anchor')} />
            </div>
          </>
        )}
      </div>
    </Card>
  );
}
