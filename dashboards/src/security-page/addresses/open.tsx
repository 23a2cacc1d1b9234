/** One address is opened, for a purpose. It stands in this dialog alone, and goes with it. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../../api/client';
import { MAX_WORDS_BYTES, openAddress, PURPOSES, type Opened } from '../../api/security';
import type { Site } from '../../api/types';
import { typedOf } from '../../officer/model/forms';
import { useDeed } from '../../officer/parts/deed';
import { Dialog } from '../../officer/parts/dialog';
import { Choice, Form, Text } from '../../officer/parts/form';
import { Facts } from '../../officer/parts/shown';
import { shortened } from '../model/addresses';
import { needed, oneLine, purposeOf } from '../model/check';
import { useSaid, useSecurity } from '../words';
import { placeName } from '../words/evidence';
import { said } from '../words/said';

interface Props {
  readonly site: Site;
  readonly token: string;
  readonly onClose: () => void;
}

export function OpenDialog({ site, token, onClose }: Props) {
  const words = useSecurity();
  const { t, moment, language } = words;
  const deed = useDeed(words.office, useSaid());
  const [opened, setOpened] = useState<Opened | null>(null);
  const [refused, setRefused] = useState('');
  const shown = useRef<HTMLParagraphElement>(null);
  // The form is gone, and the focus with it: what came in its place is heard.
  useEffect(() => shown.current?.focus(), [opened]);

  /** What the server says of this address in words of the page; anything else is told as everywhere. */
  const refusalOf = (error: unknown): string => {
    if (!(error instanceof ApiError)) return '';
    if (error.status === 429) return t('open.too_often', { at: moment(Date.now() + error.wait * 1000, site.timezone) });
    if (error.status === 404) return t('open.unseen');
    return error.status === 409 ? t('open.destroyed') : '';
  };
  const submit = (form: HTMLFormElement) =>
    void deed.run(async () => {
      setRefused('');
      const typed = typedOf(form);
      try {
        setOpened(
          await openAddress({
            site_id: site.id,
            address: token,
            purpose: purposeOf(typed),
            words: oneLine(needed(typed, 'words')),
          }),
        );
      } catch (error) {
        const text = refusalOf(error);
        if (text === '') throw error;
        setRefused(text);
      }
    });

  return (
    <Dialog name="open-address" title={t('open.title')} busy={deed.busy} onClose={onClose}>
      {opened === null ? (
        <>
          <p class="office-lead">{t('open.lead')}</p>
          <Facts
            facts={[
              [
                t('open.token'),
                <code class="hash" title={token}>
                  {shortened(token)}
                </code>,
              ],
            ]}
          />
          <Form name="open-address" deed={deed} submit={t('open.submit')} onSubmit={submit}>
            <Choice
              name="purpose"
              label={t('security.purpose')}
              hint={t('security.purpose_hint')}
              required
              value="security"
              options={PURPOSES.map((each) => [each, t(`purpose.${each}`)] as const)}
            />
            <Text name="words" label={t('open.words')} hint={t('security.words_hint')} required most={MAX_WORDS_BYTES} />
          </Form>
          <p class="form-problem" role="alert" data-refusal>
            {refused}
          </p>
        </>
      ) : (
        <div data-opened>
          <p class="security-ip" ref={shown} tabIndex={-1}>
            <span class="visually-hidden">{t('open.address')}: </span>
            <b data-ip>{opened.ip}</b>
          </p>
          <Facts
            facts={[
              [
                t('open.where'),
                placeName(words, opened.country, opened.city, opened.region) || t('value.unknown'),
              ],
              [t('open.network'), opened.asn > 0 ? `AS${opened.asn} ${opened.network}` : t('addresses.unknown_asn')],
            ]}
          />
          {opened.notes.map((note) => (
            <p class="office-note" key={note}>
              {said(language, note)}
            </p>
          ))}
          <div class="office-buttons">
            <button type="button" class="button primary" data-forget onClick={onClose}>
              {t('open.close')}
            </button>
          </div>
        </div>
      )}
    </Dialog>
  );
}
