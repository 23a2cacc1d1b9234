/** People: the list, a new one, another role, the end of an account. */
import { useState } from 'preact/hooks';
import { changePeople, type Person, type Roster } from '../api/kept';
import type { Session } from '../api/types';
import { forgetSecrets, Form, Text } from '../officer/parts/form';
import { typedOf } from '../officer/model/forms';
import { useDeed } from '../officer/parts/deed';
import { Dialog } from '../officer/parts/dialog';
import { Copy } from '../officer/parts/file';
import { Back, Card, State } from '../officer/parts/shown';
import { Icon } from '../parts/icons';
import { Confirm } from '../settings-page/parts/confirm';
import { MAX_NAME_BYTES, madeUp, MIN_PASSWORD, writePlace } from './model';
import { RoleChoice } from './roles';
import { usePeople } from './words';

interface Props {
  readonly roster: Roster;
  readonly session: Session;
  readonly fresh: boolean;
  readonly changed: () => void;
}

export function People({ roster, session, fresh, changed }: Props) {
  const { t } = usePeople();
  if (fresh) {
    return (
      <>
        <Back to={writePlace('people')} text={t('people.all')} />
        <NewPerson changed={changed} />
      </>
    );
  }
  return (
    <>
      <div class="office-bar">
        <p class="office-lead bar-text">{t('people.lead')}</p>
        <a class="button primary" href={writePlace('people', true)} data-new="people">
          <Icon name="plus" />
          {t('people.new')}
        </a>
      </div>
      {roster.people.length === 0 ? (
        <p class="card settings-empty">{t('people.empty')}</p>
      ) : (
        <div class="card sheet-card">
          <table class="sheet settings-sheet" data-people>
            <thead>
              <tr>
                <th scope="col">{t('people.login')}</th>
                <th scope="col">{t('people.role')}</th>
                <th scope="col">{t('people.totp')}</th>
                <th scope="col">
                  <span class="visually-hidden">{t('people.acts')}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {roster.people.map((person) => (
                <Line key={person.login} person={person} own={person.login === session.login} changed={changed} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

interface LineProps {
  readonly person: Person;
  /** It is whoever looks: one does not take one's own rights away. */
  readonly own: boolean;
  readonly changed: () => void;
}

function Line({ person, own, changed }: LineProps) {
  const words = usePeople();
  const { t, find } = words;
  const { login, role, totp } = person;
  const [open, setOpen] = useState<'' | 'change' | 'remove'>('');
  const [chosen, setChosen] = useState(role);
  const deed = useDeed(words.office);
  const act = (what: () => Promise<unknown>) =>
    void deed
      .run(async () => {
        await what();
      })
      .then((done) => {
        if (!done) return;
        setOpen('');
        changed();
      });
  const show = (what: 'change' | 'remove') => {
    deed.forget();
    setChosen(role);
    setOpen(what);
  };
  return (
    <tr data-row={login} data-role={role}>
      <th scope="row">
        {login}
        {own && <span class="sheet-more">{t('people.you')}</span>}
      </th>
      <td data-label={t('people.role')}>{find(`role.${role}`) ?? role}</td>
      <td data-label={t('people.totp')}>
        <State tone={totp ? 'good' : 'plain'} text={t(totp ? 'people.totp_on' : 'people.totp_off')} />
      </td>
      <td class="settings-acts">
        {!own && (
          <>
            <button
              type="button"
              class="quiet act"
              data-change={login}
              aria-label={`${t('people.change')}: ${login}`}
              onClick={() => show('change')}
            >
              {t('people.change')}
            </button>
            <button
              type="button"
              class="quiet"
              data-remove={login}
              aria-label={`${t('people.remove')}: ${login}`}
              onClick={() => show('remove')}
            >
              {t('people.remove')}
            </button>
          </>
        )}
        {open === 'change' && (
          <Dialog name="change" title={t('people.change_of', { login })} busy={deed.busy} onClose={() => setOpen('')}>
            <Form
              name="change"
              deed={deed}
              submit={t('people.save')}
              onSubmit={() => act(() => changePeople({ change: { login, role: chosen } }))}
            >
              <p class="office-lead field-wide">{t('people.change_lead')}</p>
              <RoleChoice label={t('people.role')} value={chosen} onValue={setChosen} />
            </Form>
          </Dialog>
        )}
        {open === 'remove' && (
          <Confirm
            name="remove"
            title={t('people.remove_ask', { login })}
            lead={t('people.remove_lead', { login })}
            action={t('people.remove')}
            deed={deed}
            onDo={() => act(() => changePeople({ remove: { login } }))}
            onClose={() => setOpen('')}
          />
        )}
      </td>
    </tr>
  );
}

function NewPerson({ changed }: { readonly changed: () => void }) {
  const words = usePeople();
  const { t } = words;
  const deed = useDeed(words.office);
  const [role, setRole] = useState('viewer');
  const [made, setMade] = useState('');
  return (
    <Card title={t('people.new')} name="person">
      <Form
        name="person"
        deed={deed}
        submit={t('people.add')}
        onSubmit={(form) =>
          void deed.run(async () => {
            const typed = typedOf(form);
            // A password may begin or end with a space; a login may not.
            await changePeople({
              add: { login: (typed['login'] ?? '').trim(), role, password: typed['password'] ?? '' },
            });
            forgetSecrets(form);
            changed();
            location.hash = writePlace('people');
          })
        }
      >
        <Text name="login" label={t('people.login')} hint={t('people.login_hint')} most={MAX_NAME_BYTES} required />
        <div class="people-password">
          {/* Keyed by what was made up, so that the field takes it. */}
          <Text
            key={made}
            name="password"
            type={made === '' ? 'password' : 'text'}
            label={t('people.password')}
            hint={t('people.password_hint', { count: MIN_PASSWORD })}
            value={made}
            autocomplete="new-password"
            least={MIN_PASSWORD}
            secret
            required
          />
          <div class="people-made">
            <button type="button" class="button" data-make-up onClick={() => setMade(madeUp())}>
              {t('people.make')}
            </button>
            {made !== '' && <Copy text={made} name={t('people.password')} />}
          </div>
          {made !== '' && <p class="field-hint">{t('people.made')}</p>}
        </div>
        <RoleChoice label={t('people.role')} value={role} onValue={setRole} />
      </Form>
    </Card>
  );
}
