/**
 * The own account's second factor: a secret that an app on the phone turns into
 * six digits. The secret is shown once, until its first code confirms it.
 */
import { useState } from 'preact/hooks';
import { beginSecondFactor, confirmSecondFactor, removeSecondFactor } from '../api/officer';
import { session as fetchSession } from '../api/client';
import type { Session } from '../api/types';
import { FormProblem, typedOf, type Typed } from './model/forms';
import { useDeed } from './parts/deed';
import { Copy } from './parts/file';
import { Form, forgetSecrets, Text } from './parts/form';
import { useLoaded } from './parts/load';
import { Region } from './parts/region';
import { Card, State } from './parts/shown';
import { useOffice } from './words';

/** The longest password that is taken, in bytes. */
const MAX_PASSWORD_BYTES = 512;

export function SecondFactor() {
  const { t } = useOffice();
  // Asked anew: the sign-in may have been before it was set up elsewhere.
  const load = useLoaded('session', async () => {
    const session = await fetchSession();
    if (!session) throw new Error('signed out');
    return session;
  });
  return (
    <Region name="account" load={load}>
      {(session) => (
        <Card
          title={t('totp.title')}
          name="totp"
          action={
            <span data-totp={session.totp === true}>
              <State tone={session.totp ? 'good' : 'warn'} text={t(session.totp ? 'totp.on' : 'totp.off')} />
            </span>
          }
        >
          {session.login === null ? (
            <p class="office-lead">{t('totp.no_login')}</p>
          ) : session.totp ? (
            <Remove session={session} onDone={load.put} />
          ) : (
            <SetUp session={session} onDone={load.put} />
          )}
        </Card>
      )}
    </Region>
  );
}

interface Props {
  readonly session: Session;
  readonly onDone: (session: Session) => void;
}

function SetUp({ session, onDone }: Props) {
  const words = useOffice();
  const { t } = words;
  const deed = useDeed(words);
  const [made, setMade] = useState<{ readonly secret: string; readonly uri: string } | null>(null);
  if (!made) {
    return (
      <>
        <p class="office-lead">{t('totp.lead')}</p>
        <Form
          key="begin"
          name="totp-begin"
          deed={deed}
          submit={t('totp.begin')}
          onSubmit={(form) =>
            void deed.run(async () => {
              const current = typed(typedOf(form), 'current');
              setMade(await beginSecondFactor(current));
            })
          }
        >
          <Text
            name="current"
            type="password"
            label={t('totp.current')}
            autocomplete="current-password"
            required
            secret
            most={MAX_PASSWORD_BYTES}
          />
        </Form>
      </>
    );
  }
  return (
    <div aria-live="polite">
      <ol class="totp-steps">
        <li>
          <p>{t('totp.add')}</p>
          <div class="code">
            <pre tabIndex={0}>
              <code data-secret-text>{made.secret.replace(/(.{4})(?=.)/g, '$1 ')}</code>
            </pre>
            <Copy text={made.secret} name={t('totp.secret')} />
          </div>
          {made.uri.startsWith('otpauth://') && (
            <p>
              <a href={made.uri} data-otpauth>
                {t('totp.open')}
              </a>
            </p>
          )}
        </li>
        <li>
          <p>{t('totp.then')}</p>
          <Form
            key="confirm"
            name="totp-confirm"
            deed={deed}
            submit={t('totp.confirm')}
            onSubmit={(form) =>
              void deed.run(async () => {
                await confirmSecondFactor(code(typedOf(form)));
                setMade(null);
                onDone({ ...session, totp: true });
              })
            }
          >
            <Code />
          </Form>
        </li>
      </ol>
    </div>
  );
}

function Remove({ session, onDone }: Props) {
  const words = useOffice();
  const { t } = words;
  const deed = useDeed(words);
  return (
    <>
      <p class="office-lead">{t('totp.is_on')}</p>
      <Form
        name="totp-remove"
        deed={deed}
        submit={t('totp.remove')}
        onSubmit={(form) =>
          void deed.run(async () => {
            const answers = typedOf(form);
            await removeSecondFactor(typed(answers, 'current'), code(answers));
            forgetSecrets(form);
            onDone({ ...session, totp: false });
          })
        }
      >
        <Text
          name="current"
          type="password"
          label={t('totp.current')}
          autocomplete="current-password"
          required
          secret
          most={MAX_PASSWORD_BYTES}
        />
        <Code />
      </Form>
    </>
  );
}

function Code() {
  const { t } = useOffice();
  return (
    <Text
      name="code"
      label={t('totp.code')}
      hint={t('totp.code_hint')}
      autocomplete="one-time-code"
      inputmode="numeric"
      required
      secret
      most={16}
    />
  );
}

/** People type the spaces that their app shows. */
function code(answers: Typed): string {
  return typed(answers, 'code').replace(/\s/g, '');
}

/** As it was typed: a password may begin or end with a space. */
function typed(answers: Typed, field: string): string {
  const text = answers[field] ?? '';
  if (text === '') throw new FormProblem(field, 'form.empty');
  return text;
}
