/** Retention: what the last run removed, what the next would, and a run now. */
import { useState } from 'preact/hooks';
import { lastRetention, runRetention, type RetentionReport } from '../api/officer';
import { useOfficeHere } from './office';
import { useDeed } from './parts/deed';
import { Dialog } from './parts/dialog';
import { useLoaded } from './parts/load';
import { Region } from './parts/region';
import { Card, Facts } from './parts/shown';
import { useOffice } from './words';

export function Retention() {
  const words = useOffice();
  const { t } = words;
  const load = useLoaded('retention', (signal) => lastRetention(signal));
  const dry = useDeed(words);
  const run = useDeed(words);
  const [preview, setPreview] = useState<RetentionReport | null>(null);
  const [asking, setAsking] = useState(false);
  return (
    <div class="office-stack">
      <div class="office-bar">
        <p class="office-lead">{t('retention.lead')}</p>
        <span class="spring" />
        <button
          type="button"
          class="button"
          data-dry-run
          aria-disabled={dry.busy || run.busy}
          onClick={() =>
            void dry.run(async () => {
              setPreview(null);
              setPreview(await runRetention(true));
            })
          }
        >
          {t(dry.busy ? 'form.busy' : 'retention.dry')}
        </button>
        <button
          type="button"
          class="button primary"
          data-run
          aria-disabled={dry.busy || run.busy}
          onClick={() => !run.busy && !dry.busy && setAsking(true)}
        >
          {t(run.busy ? 'form.busy' : 'retention.run')}
        </button>
      </div>
      <p class="form-problem" role="alert">
        {dry.problem || run.problem}
      </p>
      <div aria-live="polite">
        {preview && (
          <Card title={t('retention.preview')} name="preview">
            <Report report={preview} />
          </Card>
        )}
      </div>
      <Card title={t('retention.last')} name="last-retention">
        <Region name="retention" load={load} empty={t('retention.never')}>
          {(report) => report && <Report report={report} />}
        </Region>
      </Card>
      {asking && (
        <Dialog name="retention" title={t('retention.ask')} busy={run.busy} onClose={() => setAsking(false)}>
          <p class="office-lead">{t('retention.ask_lead')}</p>
          <div class="office-buttons">
            <button
              type="button"
              class="button primary danger"
              data-run-confirmed
              aria-disabled={run.busy}
              onClick={() =>
                void run
                  .run(async () => {
                    load.put(await runRetention(false));
                    setPreview(null);
                  })
                  .then(() => setAsking(false))
              }
            >
              {t(run.busy ? 'form.busy' : 'retention.run')}
            </button>
            <button type="button" class="button" aria-disabled={run.busy} onClick={() => !run.busy && setAsking(false)}>
              {t('form.cancel')}
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}

export function Report({ report }: { readonly report: RetentionReport }) {
  const { t, format, moment, find } = useOffice();
  const { chosen, zone } = useOfficeHere();
  const kinds = report.kinds.filter((each) => chosen === '' || each.site === chosen);
  const removed = kinds.reduce((sum, each) => sum + each.removed, 0);
  return (
    <div data-report={report.dry_run ? 'dry' : 'run'} data-removed={removed}>
      <Facts
        facts={[
          [t('retention.at'), moment(report.at, zone)],
          [
            t(report.dry_run ? 'retention.would_remove' : 'retention.removed'),
            t('erase.rows', { count: removed, number: format.number(removed) }),
          ],
          [t('retention.keys'), format.number(report.keys_destroyed.length)],
          [t('retention.backups'), format.number(report.backups)],
          [t('retention.seconds'), format.metric('visit_duration', report.seconds)],
        ]}
      />
      {kinds.length > 0 && (
        <table class="sheet small">
          <caption class="visually-hidden">{t('section.retention')}</caption>
          <thead>
            <tr>
              <th scope="col">{t('site.label')}</th>
              <th scope="col">{t('retention.kind')}</th>
              <th scope="col" class="amount">
                {t(report.dry_run ? 'retention.would_remove' : 'retention.removed')}
              </th>
              <th scope="col" class="amount">
                {t('retention.held')}
              </th>
              <th scope="col">{t('retention.oldest')}</th>
            </tr>
          </thead>
          <tbody>
            {kinds.map((each) => (
              <tr key={`${each.site} ${each.kind}`}>
                <td data-label={t('site.label')}>{each.site}</td>
                <td data-label={t('retention.kind')}>{find(`data.${each.kind}`) ?? each.kind}</td>
                <td class="amount" data-label={t('retention.removed')}>
                  {format.number(each.removed)}
                </td>
                <td class="amount" data-label={t('retention.held')}>
                  {format.number(each.held_back)}
                </td>
                <td data-label={t('retention.oldest')}>{each.oldest_left ? moment(each.oldest_left, zone) : '—'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}
