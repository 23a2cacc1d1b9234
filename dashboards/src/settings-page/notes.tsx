/** Notes on days of the graph, the latest first. */
import { put, type Note } from '../api/kept';
import { wallClock } from '../model/calendar';
import { typedOf } from '../officer/model/forms';
import { useDeed } from '../officer/parts/deed';
import { Area, Form, Text } from '../officer/parts/form';
import { Back, Card } from '../officer/parts/shown';
import { mayChange, useHere } from './here';
import { MAX_NOTE_BYTES, noteOf } from './model/forms';
import { writePlace } from './model/place';
import { Acts, Lead, Sheet } from './parts/list';
import { useSettings } from './words';

export function Notes({ item }: { readonly item: string }) {
  const { t } = useSettings();
  const { kept } = useHere();
  if (item !== '') {
    const note = kept.notes.find((each) => each.id === item);
    return (
      <>
        <Back to={writePlace('notes')} text={t('notes.all')} />
        {item === 'new' || note ? <NoteForm note={note} /> : <p class="office-lead">{t('settings.gone')}</p>}
      </>
    );
  }
  return <List />;
}

function List() {
  const { t, day } = useSettings();
  const here = useHere();
  const notes = [...here.kept.notes].sort((a, b) => b.day.localeCompare(a.day));
  return (
    <>
      <Lead text={t('notes.lead')} to="notes" action={t('notes.new')} />
      <Sheet
        name="notes"
        heads={[t('notes.day'), t('notes.text'), t('settings.by')]}
        empty={t('notes.empty')}
        count={notes.length}
      >
        {notes.map((note) => (
          <tr key={note.id} data-row={note.id}>
            <th scope="row">
              <time dateTime={note.day}>{day(note.day)}</time>
            </th>
            <td data-label={t('notes.text')} class="written">
              {note.text}
            </td>
            <td data-label={t('settings.by')}>{note.by === here.session.login ? t('settings.by_you') : note.by}</td>
            <Acts
              kind="note"
              section="notes"
              id={note.id}
              name={day(note.day)}
              may={mayChange(here, note)}
              warning={t('notes.remove_lead')}
            />
          </tr>
        ))}
      </Sheet>
    </>
  );
}

function NoteForm({ note }: { readonly note: Note | undefined }) {
  const words = useSettings();
  const { t } = words;
  const { site, changed } = useHere();
  const deed = useDeed(words.office);
  const [today] = wallClock(new Date(), site.timezone);
  return (
    <Card title={t(note ? 'notes.change' : 'notes.new')} name="note">
      <Form
        name="note"
        deed={deed}
        submit={t('settings.save')}
        onSubmit={(form) =>
          void deed.run(async () => {
            await put(site.id, 'note', noteOf(typedOf(form), note?.id));
            changed();
            location.hash = writePlace('notes');
          })
        }
      >
        <Text name="day" type="date" label={t('notes.day')} value={note?.day ?? today} required />
        <Area
          name="text"
          label={t('notes.text')}
          hint={t('notes.text_hint')}
          value={note?.text ?? ''}
          most={MAX_NOTE_BYTES}
          rows={2}
          required
          wide
        />
      </Form>
    </Card>
  );
}
