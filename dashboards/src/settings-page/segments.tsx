/** Segments: the list, and another name for one. They are made on the dashboard, from its filters. */
import { put, type Segment } from '../api/kept';
import { typedOf } from '../officer/model/forms';
import { useDeed } from '../officer/parts/deed';
import { Form, Text } from '../officer/parts/form';
import { Back, Card } from '../officer/parts/shown';
import { mayChange, useHere } from './here';
import { MAX_NAME_BYTES } from './model/forms';
import { writePlace } from './model/place';
import { Acts, FiltersText, Lead, Sheet } from './parts/list';
import { useSettings } from './words';

export function Segments({ item }: { readonly item: string }) {
  const { t } = useSettings();
  const { kept } = useHere();
  if (item !== '') {
    const segment = kept.segments.find((each) => each.id === item);
    return (
      <>
        <Back to={writePlace('segments')} text={t('segments.all')} />
        {segment ? <Rename segment={segment} /> : <p class="office-lead">{t('settings.gone')}</p>}
      </>
    );
  }
  return <List />;
}

function List() {
  const { t } = useSettings();
  const here = useHere();
  const { segments } = here.kept;
  return (
    <>
      <Lead text={t('segments.lead')} />
      <Sheet
        name="segments"
        heads={[t('segments.segment'), t('settings.filters'), t('settings.by')]}
        empty={t('segments.empty')}
        count={segments.length}
      >
        {segments.map((segment) => (
          <tr key={segment.id} data-row={segment.id}>
            <th scope="row">{segment.name}</th>
            <td data-label={t('settings.filters')}>
              <FiltersText filters={segment.filters} />
            </td>
            <td data-label={t('settings.by')}>
              {segment.by === here.session.login ? t('settings.by_you') : segment.by}
            </td>
            <Acts
              kind="segment"
              section="segments"
              id={segment.id}
              name={segment.name}
              may={mayChange(here, segment)}
              change={t('segments.rename')}
              warning={t('segments.remove_lead')}
            />
          </tr>
        ))}
      </Sheet>
    </>
  );
}

function Rename({ segment }: { readonly segment: Segment }) {
  const words = useSettings();
  const { t } = words;
  const { site, changed } = useHere();
  const deed = useDeed(words.office);
  return (
    <Card title={t('segments.rename')} name="segment">
      <Form
        name="segment"
        deed={deed}
        submit={t('settings.save')}
        onSubmit={(form) =>
          void deed.run(async () => {
            const name = (typedOf(form)['name'] ?? '').trim();
            await put(site.id, 'segment', { id: segment.id, name, filters: segment.filters });
            changed();
            location.hash = writePlace('segments');
          })
        }
      >
        <Text name="name" label={t('settings.name')} value={segment.name} most={MAX_NAME_BYTES} required wide />
        <div class="field-wide">
          <FiltersText filters={segment.filters} />
        </div>
      </Form>
    </Card>
  );
}
