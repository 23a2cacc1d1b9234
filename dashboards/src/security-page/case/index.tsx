/** The trail of one visitor, for a purpose. Who is meant is typed each time, and cleared when it was answered. */
import { useState } from 'preact/hooks';
import {
  CASE_PURPOSES,
  caseText,
  DEFAULT_MINUTES,
  MAX_BASIS_BYTES,
  MAX_MINUTES,
  MAX_WORDS_BYTES,
  openCase,
  type CaseFile,
} from '../../api/security';
import { typedOf } from '../../officer/model/forms';
import { useDeed } from '../../officer/parts/deed';
import { fileMoment, saveFile } from '../../officer/parts/file';
import { Choice, Form, forgetSecrets, Radios, Text } from '../../officer/parts/form';
import { Card } from '../../officer/parts/shown';
import { WhoFields } from '../../officer/parts/who';
import { useHere } from '../here';
import { CASE_WAYS, caseOf, FORMATS } from '../model/case';
import { useSaid, useSecurity } from '../words';
import { CaseResult } from './result';

export function Case() {
  const words = useSecurity();
  const { t, format, language } = words;
  const { site } = useHere();
  const zone = site.timezone;
  const deed = useDeed(words.office, useSaid());
  const [how, setHow] = useState<string>(FORMATS[0] ?? 'json');
  const [file, setFile] = useState<CaseFile | null>(null);
  const [saved, setSaved] = useState(false);

  const submit = (form: HTMLFormElement) =>
    void deed.run(async (gone) => {
      setFile(null);
      setSaved(false);
      const wanted = caseOf(typedOf(form), zone, language);
      if (wanted.format === 'json') {
        setFile(await openCase(wanted, gone));
      } else {
        const text = await caseText(wanted, gone);
        // Nothing is saved on the computer of whoever has signed out meanwhile.
        gone.throwIfAborted();
        saveFile(`case-${site.id}-${fileMoment(new Date())}`, wanted.format, text);
        setSaved(true);
      }
      forgetSecrets(form);
    });

  return (
    <div class="office-stack">
      <Card title={t('case.title')} name="case">
        <p class="office-lead">{t('case.lead')}</p>
        <Form name="case" deed={deed} submit={t('case.submit')} onSubmit={submit}>
          <input type="hidden" name="site" value={site.id} />
          <WhoFields ways={CASE_WAYS} zone={zone} label={t('case.who')} />
          <Choice
            name="purpose"
            label={t('security.purpose')}
            hint={t('security.purpose_hint')}
            required
            value={CASE_PURPOSES[0]}
            options={CASE_PURPOSES.map((each) => [each, t(`purpose.${each}`)] as const)}
          />
          <Text name="words" label={t('open.words')} hint={t('case.words_hint')} required most={MAX_WORDS_BYTES} />
          <Text name="basis" label={t('case.basis')} hint={t('case.basis_hint')} most={MAX_BASIS_BYTES} wide />
          <Text name="from" type="datetime-local" label={t('case.from')} hint={t('case.range_hint', { zone })} />
          <Text name="to" type="datetime-local" label={t('case.to')} />
          <Text name="around" type="datetime-local" label={t('case.around')} hint={t('case.around_hint')} />
          <Text
            name="minutes"
            type="number"
            min="0"
            max={String(MAX_MINUTES)}
            label={t('case.minutes')}
            hint={t('case.minutes_hint', { number: format.number(DEFAULT_MINUTES) })}
          />
          <Radios
            name="format"
            label={t('case.format')}
            options={FORMATS.map((each) => [each, t(`case.format_${each}`)] as const)}
            value={how}
            onValue={setHow}
          />
        </Form>
        <p class="case-said" role="status" data-saved={saved}>
          {saved ? t('case.saved') : file && t('case.count', { count: file.summary.hits, number: format.number(file.summary.hits) })}
        </p>
      </Card>
      {file && <CaseResult file={file} zone={zone} />}
    </div>
  );
}
