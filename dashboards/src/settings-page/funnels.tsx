/** Funnels: the list, and the form that puts goals into an order. */
import { useRef, useState } from 'preact/hooks';
import { put, type Funnel, type Goal } from '../api/kept';
import { typedOf } from '../officer/model/forms';
import { useDeed } from '../officer/parts/deed';
import { Form, Text } from '../officer/parts/form';
import { Back, Card } from '../officer/parts/shown';
import { Icon } from '../parts/icons';
import { useHere } from './here';
import { funnelOf, MAX_NAME_BYTES, moved } from './model/forms';
import { writePlace } from './model/place';
import { Acts, Lead, Sheet } from './parts/list';
import { useSettings } from './words';

export function Funnels({ item }: { readonly item: string }) {
  const { t } = useSettings();
  const { kept, owner } = useHere();
  if (item !== '' && owner) {
    const funnel = kept.funnels.find((each) => each.id === item);
    return (
      <>
        <Back to={writePlace('funnels')} text={t('funnels.all')} />
        {item === 'new' || funnel ? <FunnelForm funnel={funnel} /> : <p class="office-lead">{t('settings.gone')}</p>}
      </>
    );
  }
  return <List />;
}

function List() {
  const { t } = useSettings();
  const { kept, owner } = useHere();
  const few = kept.goals.length < 2;
  return (
    <>
      <Lead
        text={owner ? t('funnels.lead') : `${t('funnels.lead')} ${t('settings.owner_only')}`}
        to={owner && !few && 'funnels'}
        action={t('funnels.new')}
      />
      {owner && few && <NeedGoals />}
      {!(owner && few && kept.funnels.length === 0) && (
        <Sheet
          name="funnels"
          heads={[t('funnels.funnel'), t('funnels.steps')]}
          empty={t('funnels.empty')}
          count={kept.funnels.length}
        >
          {kept.funnels.map((funnel) => (
            <tr key={funnel.id} data-row={funnel.id}>
              <th scope="row">{funnel.name}</th>
              <td data-label={t('funnels.steps')}>
                <ol class="settings-steps">
                  {funnel.steps.map((id, index) => (
                    <li key={index}>{nameOf(kept.goals, id) ?? t('funnels.lost_goal')}</li>
                  ))}
                </ol>
              </td>
              <Acts
                kind="funnel"
                section="funnels"
                id={funnel.id}
                name={funnel.name}
                may={owner}
                warning={t('funnels.remove_lead')}
              />
            </tr>
          ))}
        </Sheet>
      )}
    </>
  );
}

function NeedGoals() {
  const { t } = useSettings();
  return (
    <p class="card settings-empty" data-need-goals>
      {t('funnels.need_goals')}{' '}
      <a href={writePlace('goals', 'new')}>{t('funnels.to_goals')}</a>
    </p>
  );
}

function FunnelForm({ funnel }: { readonly funnel: Funnel | undefined }) {
  const words = useSettings();
  const { t } = words;
  const { site, kept, changed } = useHere();
  const deed = useDeed(words.office);
  const [steps, setSteps] = useState<readonly string[]>(funnel?.steps ?? []);
  if (kept.goals.length < 2) return <NeedGoals />;
  return (
    <Card title={t(funnel ? 'funnels.change' : 'funnels.new')} name="funnel">
      <Form
        name="funnel"
        deed={deed}
        submit={t('settings.save')}
        onSubmit={(form) =>
          void deed.run(async () => {
            await put(site.id, 'funnel', funnelOf(typedOf(form), steps, funnel?.id));
            changed();
            location.hash = writePlace('funnels');
          })
        }
      >
        <Text name="name" label={t('settings.name')} value={funnel?.name ?? ''} most={MAX_NAME_BYTES} required wide />
        <Steps goals={kept.goals} steps={steps} onSteps={setSteps} />
      </Form>
    </Card>
  );
}

interface StepsProps {
  readonly goals: readonly Goal[];
  readonly steps: readonly string[];
  readonly onSteps: (steps: readonly string[]) => void;
}

/** The order is changed by buttons, and what changed is said. */
function Steps({ goals, steps, onSteps }: StepsProps) {
  const { t, format } = useSettings();
  const [said, setSaid] = useState('');
  const list = useRef<HTMLOListElement>(null);
  const free = goals.filter((goal) => !steps.includes(goal.id));
  const [picked, setPicked] = useState('');
  const offered = free.some((goal) => goal.id === picked) ? picked : (free[0]?.id ?? '');
  const name = (id: string) => nameOf(goals, id) ?? t('funnels.lost_goal');

  const move = (at: number, by: -1 | 1) => {
    const id = steps[at] ?? '';
    onSteps(moved(steps, at, by));
    setSaid(t('funnels.added', { name: name(id), number: format.number(at + by + 1) }));
  };
  const takeOut = (at: number) => {
    setSaid(t('funnels.taken_out', { name: name(steps[at] ?? '') }));
    onSteps(steps.filter((_, index) => index !== at));
    // The button that had the focus is gone: the next one of its kind, or the list.
    requestAnimationFrame(() => {
      const buttons = list.current?.querySelectorAll<HTMLElement>('[data-out]') ?? [];
      (buttons[Math.min(at, buttons.length - 1)] ?? list.current)?.focus();
    });
  };
  const add = () => {
    if (offered === '') return;
    onSteps([...steps, offered]);
    setSaid(t('funnels.added', { name: name(offered), number: format.number(steps.length + 1) }));
  };
  return (
    <fieldset class="field-wide settings-order" data-field="steps">
      <legend>{t('funnels.steps')}</legend>
      <p class="field-hint">{t('funnels.steps_hint')}</p>
      {steps.length === 0 && <p class="settings-none">{t('funnels.no_steps')}</p>}
      <ol ref={list} tabIndex={-1}>
        {steps.map((id, at) => (
          // Keyed by the goal, so that a moved step keeps its buttons and the focus.
          <li key={id} data-step={id}>
            <span class="settings-number" aria-hidden="true">
              {at + 1}
            </span>
            <span class="settings-step">{name(id)}</span>
            <button
              type="button"
              class="icon-button"
              data-up
              aria-label={t('funnels.up', { name: name(id) })}
              aria-disabled={at === 0}
              onClick={() => at > 0 && move(at, -1)}
            >
              <Icon name="up" />
            </button>
            <button
              type="button"
              class="icon-button"
              data-down
              aria-label={t('funnels.down', { name: name(id) })}
              aria-disabled={at === steps.length - 1}
              onClick={() => at < steps.length - 1 && move(at, 1)}
            >
              <Icon name="fall" />
            </button>
            <button
              type="button"
              class="icon-button"
              data-out
              aria-label={t('funnels.out', { name: name(id) })}
              onClick={() => takeOut(at)}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ol>
      {free.length > 0 && (
        <div class="settings-add">
          <label>
            <span class="visually-hidden">{t('funnels.add_goal')}</span>
            <select name="step" value={offered} onChange={(event) => setPicked(event.currentTarget.value)}>
              {free.map((goal) => (
                <option key={goal.id} value={goal.id} selected={goal.id === offered}>
                  {goal.name}
                </option>
              ))}
            </select>
          </label>
          <button type="button" class="button" data-add-step onClick={add}>
            <Icon name="plus" />
            {t('funnels.add')}
          </button>
        </div>
      )}
      <p class="visually-hidden" role="status">
        {said}
      </p>
    </fieldset>
  );
}

function nameOf(goals: readonly Goal[], id: string): string | undefined {
  return goals.find((goal) => goal.id === id)?.name;
}
