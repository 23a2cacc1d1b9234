/** What needs attention, each part asked for on its own: one that fails hides no other. */
import type { ComponentChildren } from 'preact';
import { auditEntries, incidents, lastRetention, policy, requests, verifyAudit } from '../api/officer';
import { byUrgency, running } from './model/due';
import { writePlace, type Section } from './model/place';
import { ClockText } from './incidents/clocks';
import { useNow, useOfficeHere } from './office';
import { useLoaded, type Loaded } from './parts/load';
import { Region } from './parts/region';
import { Card, State } from './parts/shown';
import { DueText, nextDue, Urgent } from './requests/list';
import { useOffice } from './words';

/** Sites whose policy is looked at here; the others' have a page each. */
const MAX_SITES = 12;

/** How long a run of retention and a backup may be ago, in milliseconds: as the policy's table judges them. */
const RETENTION_OLD_MS = 48 * 3_600_000;
const BACKUP_OLD_MS = 7 * 86_400_000;

export function Overview() {
  return (
    <div class="overview">
      <Requests />
      <Incidents />
      <Policies />
      <Trail />
      <Retention />
      <Backup />
    </div>
  );
}

interface PartProps<T> {
  readonly section: Section;
  readonly name: string;
  readonly title: string;
  readonly load: Loaded<T>;
  readonly empty?: string;
  readonly children: (answer: T) => ComponentChildren;
}

function Part<T>({ section, name, title, load, empty, children }: PartProps<T>) {
  const { t } = useOffice();
  return (
    <Card
      title={title}
      name={name}
      action={
        <a href={writePlace(section)}>
          {t('overview.open')}
          <span class="visually-hidden">: {title}</span>
        </a>
      }
    >
      <Region name={`overview-${name}`} load={load} {...(empty === undefined ? {} : { empty })}>
        {children}
      </Region>
    </Card>
  );
}

function Requests() {
  const { t, format } = useOffice();
  const { chosen } = useOfficeHere();
  const load = useLoaded(`requests ${chosen}`, (signal) => requests({ site_id: chosen, state: 'open' }, signal));
  return (
    <Part section="requests" name="requests" title={t('overview.requests')} load={load}>
      {({ requests: open, attention }) => {
        const urgent = byUrgency(open).filter(
          (each) => each.overdue || attention.due_within_2_working_days.includes(each.number),
        );
        const late = attention.overdue.length;
        return (
          <div data-open={attention.open} data-overdue={late}>
            <p>
              <State
                tone={late > 0 ? 'bad' : urgent.length > 0 ? 'warn' : 'good'}
                text={
                  late > 0
                    ? t('overview.overdue', { count: late, number: format.number(late) })
                    : urgent.length > 0
                      ? t('overview.soon', { count: urgent.length, number: format.number(urgent.length) })
                      : t('overview.no_urgent')
                }
              />
            </p>
            <p class="office-lead">
              {t('overview.open_requests', { count: attention.open, number: format.number(attention.open) })}
            </p>
            {urgent.length > 0 && (
              <ul class="urgent">
                {urgent.map((request) => (
                  <li key={request.number}>
                    <a href={writePlace('requests', request.number)}>
                      {request.number} · {t(`kind.${request.kind}`)}
                    </a>
                    <Urgent request={request} attention={attention} />
                    <DueText due={nextDue(request)} />
                  </li>
                ))}
              </ul>
            )}
          </div>
        );
      }}
    </Part>
  );
}

function Incidents() {
  const { t, format } = useOffice();
  const { chosen } = useOfficeHere();
  const now = useNow();
  const load = useLoaded('incidents', (signal) => incidents(signal));
  return (
    <Part section="incidents" name="incidents" title={t('overview.incidents')} load={load}>
      {(answer) => {
        const open = answer.incidents.filter(
          (each) => each.state === 'open' && (chosen === '' || each.site === chosen),
        );
        return (
          <div data-open={open.length}>
            <p>
              <State
                tone={open.length === 0 ? 'good' : 'warn'}
                text={
                  open.length === 0
                    ? t('overview.no_incidents')
                    : t('overview.open_incidents', { count: open.length, number: format.number(open.length) })
                }
              />
            </p>
            {open.length > 0 && (
              <ul class="urgent">
                {open.map((incident) => (
                  <li key={incident.number}>
                    <a href={writePlace('incidents', incident.number)}>
                      {incident.number} · {t(`incident.${incident.kind}`)}
                    </a>
                    {running(incident).map((clock) => (
                      <ClockText key={clock.name} clock={clock} now={now} named />
                    ))}
                  </li>
                ))}
              </ul>
            )}
          </div>
        );
      }}
    </Part>
  );
}

function Policies() {
  const { t } = useOffice();
  const { sites, chosen } = useOfficeHere();
  const asked = sites
    .map((site) => site.id)
    .filter((id) => chosen === '' || id === chosen)
    .slice(0, MAX_SITES);
  const load = useLoaded(`policy ${asked.join(' ')}`, (signal) =>
    Promise.all(asked.map((site) => policy(site, signal))),
  );
  return (
    <Part section="policy" name="policy" title={t('section.policy')} load={load}>
      {(tables) => (
        <ul class="urgent">
          {tables.map((table) => {
            const red = table.clauses.filter((clause) => clause.state === 'red').map((clause) => clause.clause);
            return (
              <li key={table.site} data-policy={table.site} data-red={red.length}>
                {tables.length > 1 && <span>{table.site}</span>}
                <State
                  tone={red.length > 0 ? 'bad' : 'good'}
                  text={
                    red.length > 0
                      ? t('overview.red', { count: red.length, clauses: red.join(', ') })
                      : t('policy.green')
                  }
                />
              </li>
            );
          })}
        </ul>
      )}
    </Part>
  );
}

function Trail() {
  const { t, format, moment } = useOffice();
  const { zone } = useOfficeHere();
  const load = useLoaded('trail', (signal) => verifyAudit(signal));
  return (
    <Part section="audit" name="trail" title={t('section.audit')} load={load}>
      {(verified) => (
        <>
          <p>
            <State
              tone="good"
              text={t('verify.whole', { count: verified.entries, number: format.number(verified.entries) })}
            />
          </p>
          {verified.last && (
            <p class="office-lead">{t('overview.last_entry', { at: moment(verified.last.at, zone) })}</p>
          )}
        </>
      )}
    </Part>
  );
}

function Retention() {
  const { t, format } = useOffice();
  const { chosen } = useOfficeHere();
  const load = useLoaded('retention', (signal) => lastRetention(signal));
  return (
    <Part
      section="retention"
      name="retention"
      title={t('section.retention')}
      load={load}
      empty={t('retention.never')}
    >
      {(report) => {
        if (!report) return null;
        const here = report.kinds.filter((each) => chosen === '' || each.site === chosen);
        const removed = here.reduce((sum, each) => sum + each.removed, 0);
        return (
          <>
            <Since at={report.at} old={RETENTION_OLD_MS} />
            <p class="office-lead">
              {t('overview.removed', { rows: t('erase.rows', { count: removed, number: format.number(removed) }) })}
            </p>
          </>
        );
      }}
    </Part>
  );
}

/** The trail tells of every backup. */
function Backup() {
  const { t } = useOffice();
  const load = useLoaded('backup', async (signal) => {
    const { entries } = await auditEntries({ action: 'backup_made', last: 1 }, signal);
    return entries.at(-1) ?? null;
  });
  return (
    <Part section="audit" name="backup" title={t('overview.backup')} load={load} empty={t('overview.no_backup')}>
      {(entry) => entry && <Since at={entry.at} old={BACKUP_OLD_MS} />}
    </Part>
  );
}

function Since({ at, old }: { readonly at: string; readonly old: number }) {
  const { t, moment } = useOffice();
  const { zone } = useOfficeHere();
  const isOld = useNow() - Date.parse(at) > old;
  const when = moment(at, zone);
  return (
    <p>
      <State tone={isOld ? 'bad' : 'good'} text={isOld ? t('overview.too_long_ago', { at: when }) : when} />
    </p>
  );
}
