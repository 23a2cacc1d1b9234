/** One visitor is asked about. Who is meant is typed each time, and cleared when it was answered. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { check, MAX_WORDS_BYTES, PURPOSES, type Checked } from '../../api/security';
import { MAX_USER_KEY_BYTES } from '../../api/officer';
import { typedOf } from '../../officer/model/forms';
import { useDeed } from '../../officer/parts/deed';
import { Choice, Form, forgetSecrets, Radios, Text } from '../../officer/parts/form';
import { Card } from '../../officer/parts/shown';
import { useHere } from '../here';
import { checkOf, WAYS, type Way } from '../model/check';
import { useSaid, useSecurity } from '../words';
import { Alerts } from './alerts';
import { CheckResult } from './result';

/** A copied cookie may have its name before it, and a forged one any length. */
const MAX_COOKIE_BYTES = 512;
/** The longest text of an address, IPv6 with a zone. */
const MAX_ADDRESS_BYTES = 64;
/** The hex digits of a keyed hash. */
const HASH_DIGITS = 16;

export function Check() {
  const words = useSecurity();
  const { t } = words;
  const { site } = useHere();
  const deed = useDeed(words.office, useSaid());
  const [way, setWay] = useState<Way>('cookie');
  // Each pick fills the field anew, also with what was there before.
  const [picked, setPicked] = useState({ subject: '', time: 0 });
  const picks = useRef(0);
  const [checked, setChecked] = useState<Checked | null>(null);

  const result = useRef<HTMLDivElement>(null);
  // On a phone the answer stands below the screen.
  useEffect(() => {
    if (checked) result.current?.querySelector('[data-card=verdict]')?.scrollIntoView({ block: 'nearest' });
  }, [checked]);

  const submit = (form: HTMLFormElement) =>
    void deed.run(async (gone) => {
      setChecked(null);
      const asked = picks.current;
      const answer = await check(checkOf(typedOf(form)), gone);
      setChecked(answer);
      // Who was picked meanwhile is still to be checked.
      if (picks.current !== asked) return;
      forgetSecrets(form);
      setPicked((before) => ({ ...before, subject: '' }));
    });

  const pick = (subject: string) => {
    picks.current += 1;
    setPicked({ subject, time: picks.current });
    setWay('subject');
    deed.forget();
    document.querySelector<HTMLElement>('[data-form=check] [name=purpose]')?.focus();
  };

  return (
    <div class="office-stack">
      <Card title={t('check.title')} name="check">
        <p class="office-lead">{t('check.lead')}</p>
        <Form name="check" deed={deed} submit={t('check.submit')} onSubmit={submit}>
          <input type="hidden" name="site" value={site.id} />
          <Radios
            name="way"
            label={t('check.way')}
            options={WAYS.map((each) => [each, t(`check.way_${each}`)] as const)}
            value={way}
            onValue={(value) => {
              setWay(value as Way);
              deed.forget();
            }}
          />
          {way === 'cookie' && (
            <Text
              key="cookie"
              name="cookie"
              label={t('who.cookie_value')}
              hint={t('check.cookie_hint')}
              required
              most={MAX_COOKIE_BYTES}
              secret
              wide
            />
          )}
          {way === 'user' && (
            <Text
              key="user"
              name="user"
              label={t('who.user_key')}
              hint={t('check.user_hint')}
              required
              most={MAX_USER_KEY_BYTES}
              secret
              wide
            />
          )}
          {way === 'ip' && (
            <Text key="ip" name="ip" label={t('who.ip')} hint={t('check.ip_hint')} required most={MAX_ADDRESS_BYTES} secret wide />
          )}
          {way === 'subject' && (
            <Text
              key={`subject ${picked.time}`}
              name="subject"
              label={t('check.subject')}
              hint={t('check.subject_hint')}
              value={picked.subject}
              required
              least={HASH_DIGITS}
              most={HASH_DIGITS}
              secret
              wide
            />
          )}
          <Choice
            name="purpose"
            label={t('security.purpose')}
            hint={t('security.purpose_hint')}
            required
            value={PURPOSES[0]}
            options={PURPOSES.map((each) => [each, t(`purpose.${each}`)] as const)}
          />
          <Text name="words" label={t('security.words')} hint={t('security.words_hint')} most={MAX_WORDS_BYTES} />
        </Form>
      </Card>
      {/* The verdict is heard; the rest is there to be read. */}
      <p class="visually-hidden" role="status">
        {checked && `${t('check.answer')}: ${t(`verdict.${checked.verdict}`)}`}
      </p>
      {checked && (
        <div data-result="check" ref={result}>
          <CheckResult checked={checked} zone={site.timezone} />
        </div>
      )}
      <Alerts onPick={pick} />
    </div>
  );
}
