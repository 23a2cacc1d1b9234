/**
 * Which of the site's own users an incident touched. The keys are typed or read
 * from a file, asked about once, and forgotten; what is found stands on the page
 * until it is left, and is stored nowhere.
 */
import { useState } from 'preact/hooks';
import { matchIncident } from '../../api/officer';
import { FormProblem, keysOf, MAX_KEYS, MAX_KEYS_BYTES, typedOf } from '../model/forms';
import { useDeed } from '../parts/deed';
import { Copy } from '../parts/file';
import { Area, Form, forgetSecrets } from '../parts/form';
import { Card } from '../parts/shown';
import { useOffice } from '../words';

interface Found {
  readonly asked: number;
  readonly affected: readonly string[];
}

export function Match({ number }: { readonly number: string }) {
  const words = useOffice();
  const { t, format } = words;
  const deed = useDeed(words);
  const [found, setFound] = useState<Found | null>(null);

  const read = async (input: HTMLInputElement) => {
    const file = input.files?.[0];
    const area = input.form?.elements.namedItem('keys');
    input.value = '';
    if (!file || !(area instanceof HTMLTextAreaElement)) return;
    await deed.run(async () => {
      if (file.size > MAX_KEYS_BYTES) throw new FormProblem('keys', 'form.long');
      area.value = await file.text();
    });
  };

  return (
    <Card title={t('match.title')} name="match">
      <p class="office-lead">{t('match.lead')}</p>
      <Form
        name="match"
        deed={deed}
        submit={t('match.submit')}
        onSubmit={(form) =>
          void deed.run(async () => {
            setFound(null);
            const keys = keysOf(typedOf(form)['keys'] ?? '');
            const { affected } = await matchIncident(number, keys);
            forgetSecrets(form);
            setFound({ asked: keys.length, affected });
          })
        }
      >
        <Area
          name="keys"
          label={t('match.keys')}
          hint={t('match.keys_hint', { count: MAX_KEYS, number: format.number(MAX_KEYS) })}
          required
          secret
          rows={4}
          most={MAX_KEYS_BYTES}
          wide
        />
        <label class="file-field">
          <span>{t('match.file')}</span>
          <input
            type="file"
            accept=".txt,.csv,text/plain,text/csv"
            onChange={(event) => void read(event.currentTarget)}
          />
        </label>
      </Form>
      <div aria-live="polite" data-result={found ? 'match' : undefined} data-value={found?.affected.length}>
        {found && (
          <>
            <p class="verdict" data-good={found.affected.length === 0}>
              {t('match.found', {
                count: found.affected.length,
                number: format.number(found.affected.length),
                asked: format.number(found.asked),
              })}
            </p>
            {found.affected.length > 0 && (
              <>
                <pre class="notice-text" tabIndex={0}>
                  {found.affected.join('\n')}
                </pre>
                <div class="office-buttons">
                  <Copy text={found.affected.join('\n')} name={t('match.title')} />
                  <button type="button" class="button" onClick={() => setFound(null)}>
                    {t('match.forget')}
                  </button>
                </div>
              </>
            )}
          </>
        )}
      </div>
    </Card>
  );
}
