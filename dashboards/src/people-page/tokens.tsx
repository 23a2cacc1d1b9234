/** Tokens: the list, a new one, which is shown once, the end of one. */
import { useState } from 'preact/hooks';
import { changePeople, makeToken, type Roster, type Token } from '../api/kept';
import type { Site } from '../api/types';
import { typedOf } from '../officer/model/forms';
import { useDeed } from '../officer/parts/deed';
import { Choice, Form, Text } from '../officer/parts/form';
import { Back, Card, State } from '../officer/parts/shown';
import { Icon } from '../parts/icons';
import { Confirm } from '../settings-page/parts/confirm';
import { Once } from '../settings-page/parts/once';
import { MAX_NAME_BYTES, TOKEN_DAYS, writePlace } from './model';
import { RoleChoice } from './roles';
import { usePeople, type PeopleWords } from './words';

interface Props {
  readonly roster: Roster;
  readonly sites: readonly Site[];
  readonly fresh: boolean;
  readonly changed: () => void;
}

export function Tokens({ roster, sites, fresh, changed }: Props) {
  const { t } = usePeople();
  if (fresh) {
    return (
      <>
        <Back to={writePlace('tokens')} text={t('tokens.all')} />
        <NewToken sites={sites} changed={changed} />
      </>
    );
  }
  return (
    <>
      <div class="office-bar">
        <p class="office-lead bar-text">{t('tokens.lead')}</p>
        <a class="button primary" href={writePlace('tokens', true)} data-new="tokens">
          <Icon name="plus" />
          {t('tokens.new')}
        </a>
      </div>
      {roster.tokens.length === 0 ? (
        <p class="card settings-empty">{t('tokens.empty')}</p>
      ) : (
        <div class="card sheet-card">
          <table class="sheet settings-sheet" data-tokens>
            <thead>
              <tr>
                <th scope="col">{t('tokens.name')}</th>
                <th scope="col">{t('tokens.role')}</th>
                <th scope="col">{t('tokens.site')}</th>
                <th scope="col">{t('tokens.made')}</th>
                <th scope="col">{t('tokens.expires')}</th>
                <th scope="col">
                  <span class="visually-hidden">{t('people.acts')}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {roster.tokens.map((token) => (
                <Line key={token.id} token={token} changed={changed} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function Line({ token, changed }: { readonly token: Token; readonly changed: () => void }) {
  const words = usePeople();
  const { t, find } = words;
  const { id, name, role, site, made, expires } = token;
  const [asking, setAsking] = useState(false);
  const deed = useDeed(words.office);
  return (
    <tr data-row={id}>
      <th scope="row">
        {name}
        <span class="sheet-more">{id}</span>
      </th>
      <td data-label={t('tokens.role')}>{find(`role.${role}`) ?? role}</td>
      <td data-label={t('tokens.site')}>{site ?? t('tokens.all_sites')}</td>
      <td data-label={t('tokens.made')}>{made === null ? '—' : dayText(words, made)}</td>
      <td data-label={t('tokens.expires')}>
        {expires === null ? (
          t('tokens.never')
        ) : new Date(expires).getTime() <= Date.now() ? (
          <State tone="warn" text={t('tokens.expired', { day: dayText(words, expires) })} />
        ) : (
          dayText(words, expires)
        )}
      </td>
      <td class="settings-acts">
        <button
          type="button"
          class="quiet"
          data-revoke={id}
          aria-label={`${t('tokens.revoke')}: ${name}`}
          onClick={() => {
            deed.forget();
            setAsking(true);
          }}
        >
          {t('tokens.revoke')}
        </button>
        {asking && (
          <Confirm
            name="revoke"
            title={t('tokens.revoke_ask', { name })}
            lead={t('tokens.revoke_lead')}
            action={t('tokens.revoke')}
            deed={deed}
            onClose={() => setAsking(false)}
            onDo={() =>
              void deed
                .run(async () => {
                  await changePeople({ revoke: { id } });
                })
                .then((done) => {
                  if (!done) return;
                  setAsking(false);
                  changed();
                })
            }
          />
        )}
      </td>
    </tr>
  );
}

function NewToken({ sites, changed }: { readonly sites: readonly Site[]; readonly changed: () => void }) {
  const words = usePeople();
  const { t, format } = words;
  const deed = useDeed(words.office);
  const [role, setRole] = useState('viewer');
  const [token, setToken] = useState('');
  if (token !== '') {
    return (
      <Once
        name="token"
        lead={t('tokens.once')}
        label={t('tokens.token')}
        text={token}
        done={t('tokens.done')}
        onDone={() => {
          changed();
          location.hash = writePlace('tokens');
        }}
      />
    );
  }
  return (
    <Card title={t('tokens.new')} name="token">
      <Form
        name="token"
        deed={deed}
        submit={t('tokens.make')}
        onSubmit={(form) =>
          void deed.run(async () => {
            const typed = typedOf(form);
            const [site, days] = [typed['site'] ?? '', typed['days'] ?? ''];
            const made = await makeToken({
              name: (typed['name'] ?? '').trim(),
              role,
              ...(site === '' ? {} : { site }),
              ...(days === '' ? {} : { days: Number(days) }),
            });
            setToken(made.token);
          })
        }
      >
        <Text name="name" label={t('tokens.name')} hint={t('tokens.name_hint')} most={MAX_NAME_BYTES} required wide />
        <Choice
          name="site"
          label={t('tokens.site')}
          options={[['', t('tokens.all_sites')] as const, ...sites.map((each) => [each.id, each.id] as const)]}
        />
        <Choice
          name="days"
          label={t('tokens.days')}
          value="90"
          required
          options={TOKEN_DAYS.map(
            (days) =>
              [
                days,
                days === ''
                  ? t('tokens.never')
                  : days === '365'
                    ? t('tokens.year')
                    : t('tokens.days_count', { count: Number(days), number: format.number(Number(days)) }),
              ] as const,
          )}
        />
        <RoleChoice label={t('tokens.role')} value={role} onValue={setRole} />
      </Form>
    </Card>
  );
}

/** A moment in milliseconds or RFC 3339 as the day it was here. */
function dayText({ language }: PeopleWords, at: number | string): string {
  const instant = new Date(at);
  if (Number.isNaN(instant.getTime())) return String(at);
  return new Intl.DateTimeFormat(language, { day: 'numeric', month: 'long', year: 'numeric' }).format(instant);
}
