/** The table as a file, as far as one question answers. */
import { addresses } from '../../api/security';
import { csvText } from '../../model/export';
import { daysAt } from '../../model/period';
import { useDeed } from '../../officer/parts/deed';
import { saveFile } from '../../officer/parts/file';
import { Icon } from '../../parts/icons';
import { linesOf, MAX_ROWS, tableQuestion, type Asking, type Look } from '../model/addresses';
import { useSaid, useSecurity } from '../words';

export function Save({ asking, look }: { readonly asking: Asking; readonly look: Look }) {
  const words = useSecurity();
  const { t } = words;
  const deed = useDeed(words.office, useSaid());
  const save = () =>
    void deed.run(async (gone) => {
      const answer = await addresses(tableQuestion(asking, look, MAX_ROWS), gone);
      // Nothing is saved on the computer of whoever has signed out meanwhile.
      gone.throwIfAborted();
      const days = daysAt(look.period, asking.now);
      const range = days ? `${days.from}-${days.to}` : 'all';
      saveFile(`metka-${asking.site}-${range}-${look.by}`, 'csv', csvText(linesOf(answer.results, look.by)));
    });
  return (
    <>
      <button type="button" class="button" data-save aria-disabled={deed.busy} onClick={save}>
        <Icon name="save" />
        {t(deed.busy ? 'form.busy' : 'addresses.save')}
      </button>
      <p class="form-problem" role="alert" data-save-problem>
        {deed.problem}
      </p>
    </>
  );
}
