/** Reports by mail: who gets them, how often, in which language. */
import { useState } from 'preact/hooks';
import { put, type Report } from '../api/kept';
import { typedOf } from '../officer/model/forms';
import { useDeed } from '../officer/parts/deed';
import { Area, Choice, Form, Radios } from '../officer/parts/form';
import { Back, Card } from '../officer/parts/shown';
import { LANGUAGES } from '../words/language';
import { useHere } from './here';
import { EVERY, MAX_RECIPIENTS_BYTES, reportOf } from './model/forms';
import { writePlace } from './model/place';
import { Acts, Lead, Sheet } from './parts/list';
import { useSettings } from './words';

export function Reports({ item }: { readonly item: string }) {
  const { t } = useSettings();
  const { kept } = useHere();
  if (item !== '') {
    const report = kept.reports?.find((each) => each.id === item);
    return (
      <>
        <Back to={writePlace('reports')} text={t('reports.all')} />
        {item === 'new' || report ? <ReportForm report={report} /> : <p class="office-lead">{t('settings.gone')}</p>}
      </>
    );
  }
  return <List />;
}

function List() {
  const { t, day } = useSettings();
  const { kept, owner } = useHere();
  const reports = kept.reports ?? [];
  return (
    <>
      <Lead text={t('reports.lead')} to={owner && 'reports'} action={t('reports.new')} off={kept.mail === false && NO_MAIL} />
      {kept.mail === false && <NoMail />}
      <div class="settings-off" data-off={kept.mail === false}>
        <Sheet
          name="reports"
          heads={[t('reports.to'), t('reports.every'), t('reports.language'), t('reports.sent')]}
          empty={t('reports.empty')}
          count={reports.length}
        >
          {reports.map((report) => (
            <tr key={report.id} data-row={report.id}>
              <th scope="row" class="settings-to">
                {report.to.map((each) => (
                  <span key={each}>{each}</span>
                ))}
              </th>
              <td data-label={t('reports.every')}>{t(`every.${report.every}`)}</td>
              <td data-label={t('reports.language')}>
                {LANGUAGES.find(([each]) => each === report.language)?.[1] ?? report.language}
              </td>
              <td data-label={t('reports.sent')}>{report.sent ? day(report.sent) : t('reports.never')}</td>
              <Acts
                kind="report"
                section="reports"
                id={report.id}
                name={report.to.join(', ')}
                may={owner}
                warning={t('reports.remove_lead')}
              />
            </tr>
          ))}
        </Sheet>
      </div>
    </>
  );
}

/** Its text tells why reports cannot be made. */
const NO_MAIL = 'no-mail';

function NoMail() {
  const { t } = useSettings();
  return (
    <p class="office-note settings-no-mail" id={NO_MAIL} data-no-mail>
      {t('reports.no_mail')}
    </p>
  );
}

function ReportForm({ report }: { readonly report: Report | undefined }) {
  const words = useSettings();
  const { t, language } = words;
  const { site, kept, changed } = useHere();
  const deed = useDeed(words.office);
  const [every, setEvery] = useState<string>(report?.every ?? 'week');
  if (kept.mail === false) return <NoMail />;
  return (
    <Card title={t(report ? 'reports.change' : 'reports.new')} name="report">
      <Form
        name="report"
        deed={deed}
        submit={t('settings.save')}
        onSubmit={(form) =>
          void deed.run(async () => {
            await put(site.id, 'report', reportOf(typedOf(form), report?.id));
            changed();
            location.hash = writePlace('reports');
          })
        }
      >
        <Area
          name="to"
          label={t('reports.to')}
          hint={t('reports.to_hint')}
          value={report?.to.join('\n') ?? ''}
          most={MAX_RECIPIENTS_BYTES}
          rows={3}
          required
          wide
        />
        <Radios
          name="every"
          label={t('reports.every')}
          value={every}
          onValue={setEvery}
          options={EVERY.map((each) => [each, t(`every.${each}`), t(`every.${each}_about`)] as const)}
        />
        <Choice
          name="language"
          label={t('reports.language')}
          value={report?.language ?? language}
          required
          options={LANGUAGES}
        />
      </Form>
    </Card>
  );
}
