/** Goals: the list, and the form of one. */
import { useState } from 'preact/hooks';
import { put, type Goal, type GoalKind } from '../api/kept';
import { typedOf } from '../officer/model/forms';
import { useDeed } from '../officer/parts/deed';
import { Choice, Form, Radios, Text } from '../officer/parts/form';
import { Back, Card } from '../officer/parts/shown';
import { useHere } from './here';
import { aimText } from './model/aim';
import { CURRENCIES, GOAL_KINDS, goalOf, MAX_NAME_BYTES, MAX_VALUE_BYTES } from './model/forms';
import { writePlace } from './model/place';
import { Acts, Lead, Sheet } from './parts/list';
import { useKnown } from './parts/known';
import { useSettings } from './words';

export function Goals({ item }: { readonly item: string }) {
  const { t } = useSettings();
  const { kept, owner } = useHere();
  if (item !== '' && owner) {
    const goal = kept.goals.find((each) => each.id === item);
    return (
      <>
        <Back to={writePlace('goals')} text={t('goals.all')} />
        {item === 'new' || goal ? <GoalForm goal={goal} /> : <p class="office-lead">{t('settings.gone')}</p>}
      </>
    );
  }
  return <List />;
}

function List() {
  const words = useSettings();
  const { t } = words;
  const { kept, owner } = useHere();
  return (
    <>
      <Lead
        text={owner ? t('goals.lead') : `${t('goals.lead')} ${t('settings.owner_only')}`}
        to={owner && 'goals'}
        action={t('goals.new')}
      />
      <Sheet name="goals" heads={[t('goals.goal'), t('goals.when')]} empty={t('goals.empty')} count={kept.goals.length}>
        {kept.goals.map((goal) => {
          const funnel = kept.funnels.find((each) => each.steps.includes(goal.id));
          return (
            <tr key={goal.id} data-row={goal.id}>
              <th scope="row">{goal.name}</th>
              <td data-label={t('goals.when')}>{aimText(words, goal)}</td>
              <Acts
                kind="goal"
                section="goals"
                id={goal.id}
                name={goal.name}
                may={owner}
                stuck={funnel !== undefined}
                warning={funnel ? t('goals.stuck', { funnel: funnel.name }) : t('goals.remove_lead')}
              />
            </tr>
          );
        })}
      </Sheet>
    </>
  );
}

function GoalForm({ goal }: { readonly goal: Goal | undefined }) {
  const words = useSettings();
  const { t } = words;
  const { site, changed } = useHere();
  const deed = useDeed(words.office);
  const [kind, setKind] = useState<GoalKind>(goal?.kind ?? 'event');
  const value = goal?.kind === kind ? goal.value : '';
  return (
    <Card title={t(goal ? 'goals.change' : 'goals.new')} name="goal">
      <Form
        name="goal"
        deed={deed}
        submit={t('settings.save')}
        onSubmit={(form) =>
          void deed.run(async () => {
            await put(site.id, 'goal', goalOf(typedOf(form), goal?.id));
            changed();
            location.hash = writePlace('goals');
          })
        }
      >
        <Text
          name="name"
          label={t('settings.name')}
          hint={t('goals.name_hint')}
          value={goal?.name ?? ''}
          most={MAX_NAME_BYTES}
          required
          wide
        />
        <Radios
          name="kind"
          label={t('goals.kind')}
          value={kind}
          onValue={(chosen) => setKind(chosen as GoalKind)}
          options={GOAL_KINDS.map((each) => [each, t(`kind.${each}`), t(`kind.${each}_about`)] as const)}
        />
        <AimFields key={kind} kind={kind} value={value} goal={goal?.kind === kind ? goal : undefined} />
      </Form>
    </Card>
  );
}

interface AimProps {
  readonly kind: GoalKind;
  readonly value: string;
  readonly goal: Goal | undefined;
}

function AimFields({ kind, value, goal }: AimProps) {
  const { t, language } = useSettings();
  const known = useKnown(kind === 'event' ? 'event:name' : kind === 'ad_click' ? 'event:ad' : 'event:page');
  switch (kind) {
    case 'event': {
      const kept = goal?.kind === 'event' ? (goal.currency ?? '') : '';
      const names = new Intl.DisplayNames(language, { type: 'currency' });
      const offered = kept === '' || CURRENCIES.includes(kept) ? CURRENCIES : [...CURRENCIES, kept];
      return (
        <>
          <Text name="value" label={t('goals.event')} value={value} most={MAX_VALUE_BYTES} known={known} required />
          <Choice
            name="currency"
            label={t('goals.currency')}
            hint={t('goals.currency_hint')}
            value={kept}
            options={[
              ['', t('goals.no_currency')] as const,
              ...offered.map((each) => [each, `${each} · ${names.of(each) ?? each}`] as const),
            ]}
          />
        </>
      );
    }
    case 'page':
      return (
        <Text
          name="value"
          label={t('goals.page')}
          hint={t('goals.page_hint')}
          value={value}
          most={MAX_VALUE_BYTES}
          known={known}
          required
          wide
        />
      );
    case 'scroll':
      return (
        <>
          <Text
            name="value"
            label={t('goals.page')}
            hint={t('goals.page_hint')}
            value={value}
            most={MAX_VALUE_BYTES}
            known={known}
            required
          />
          <Text
            name="percent"
            type="number"
            label={t('goals.percent')}
            value={goal?.kind === 'scroll' ? String(goal.percent) : '75'}
            min="1"
            max="100"
            required
          />
        </>
      );
    case 'ad_click':
      return (
        <Text name="value" label={t('goals.ad')} hint={t('goals.ad_hint')} value={value} most={MAX_VALUE_BYTES} known={known} wide />
      );
  }
}
