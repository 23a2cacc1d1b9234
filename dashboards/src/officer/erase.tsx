/**
 * The question before an erasure: how many rows go for ever, and who answers for
 * it. Nothing is destroyed until the box is ticked, a name is given and the
 * button is pressed.
 */
import { doJob, MAX_PURPOSE_BYTES, type Asked, type Outcome } from '../api/officer';
import { FormProblem, typedOf } from './model/forms';
import { useDeed } from './parts/deed';
import { Dialog } from './parts/dialog';
import { Form, Text, Tick } from './parts/form';
import { useOffice } from './words';

interface Props {
  readonly asked: Asked;
  readonly found: Outcome;
  readonly onClose: () => void;
  readonly onErased: (outcome: Outcome) => void;
}

export function EraseDialog({ asked, found, onClose, onErased }: Props) {
  const words = useOffice();
  const { t, format, law } = words;
  const deed = useDeed(words);
  const rows = t('erase.rows', { count: found.rows, number: format.number(found.rows) });
  const submit = (form: HTMLFormElement) =>
    void deed.run(async () => {
      const by = (typedOf(form)['by'] ?? '').trim().replace(/\s+/g, ' ');
      if (by === '') throw new FormProblem('by', 'form.empty');
      onErased(await doJob({ ...asked, by }));
    });
  return (
    <Dialog name="erase" title={t('erase.title')} busy={deed.busy} onClose={onClose}>
      <p class="verdict" data-good="false" data-rows={found.rows}>
        <strong>{rows}</strong> {t('erase.for_ever')}
      </p>
      <p class="office-lead">
        {t('erase.act')} {asked.request === undefined ? '' : t('erase.request', { number: asked.request })}
      </p>
      {found.notes?.map((note) => (
        <p class="office-note" key={note}>
          {law(note)}
        </p>
      ))}
      <Form
        name="erase"
        deed={deed}
        submit={t('erase.submit')}
        danger
        onSubmit={submit}
        more={
          <button type="button" class="button" aria-disabled={deed.busy} onClick={() => !deed.busy && onClose()}>
            {t('form.cancel')}
          </button>
        }
      >
        <Text
          name="by"
          label={t('erase.by')}
          hint={t('erase.by_hint')}
          required
          most={MAX_PURPOSE_BYTES}
          autocomplete="off"
          wide
        />
        <div class="field-wide">
          <Tick name="sure" label={t('erase.sure', { rows })} required />
        </div>
      </Form>
    </Dialog>
  );
}
