/**
 * The way in: login and password, with the code of the second factor where the
 * server asks for it; or the one-time code of the first start.
 */
import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { ApiError, signIn } from '../api/client';
import { failureOf } from '../load';
import { Mark } from '../parts/icons';
import { LanguageChoice } from '../parts/menu';
import { useWords, type Language } from '../words/language';

interface Props {
  readonly onLanguage: (language: Language) => void;
  readonly onDone: () => void;
}

export function SignIn({ onLanguage, onDone }: Props) {
  const { t } = useWords();
  const [byCode, setByCode] = useState(false);
  const [withTotp, setWithTotp] = useState(false);
  const [wait, setWait] = useState(false);
  const [problem, setProblem] = useState('');

  const submit = async (event: SubmitEvent & { currentTarget: HTMLFormElement }) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const field = (name: string): string => String(data.get(name) ?? '').trim();
    setWait(true);
    setProblem('');
    try {
      // A password may begin or end with a space; a copied code may not.
      const totp = field('totp').replace(/\s/g, '');
      await signIn(
        byCode
          ? { code: field('code') }
          : {
              login: field('login'),
              password: String(data.get('password') ?? ''),
              ...(totp === '' ? {} : { totp }),
            },
      );
      onDone();
    } catch (error) {
      setWait(false);
      // The password was right: what is missing is asked for, and is no problem yet.
      if (error instanceof ApiError && error.needs === 'totp' && !withTotp) return setWithTotp(true);
      setProblem(t(withTotp && !byCode ? totpProblemKey(error) : problemKey(error, byCode)));
    }
  };

  return (
    <Gate title={t('sign_in.title')} lead={t('sign_in.lead')} onLanguage={onLanguage}>
      <form class="form" data-form={byCode ? 'code' : 'password'} onSubmit={(event) => void submit(event)}>
        {byCode ? (
          <Field
            key="code"
            name="code"
            label={t('sign_in.code')}
            hint={t('sign_in.code_hint')}
            autocomplete="one-time-code"
            focus
          />
        ) : (
          <>
            <Field key="login" name="login" label={t('sign_in.login')} autocomplete="username" focus />
            <Field
              key="password"
              name="password"
              type="password"
              label={t('sign_in.password')}
              autocomplete="current-password"
            />
            {withTotp && (
              <Field
                key="totp"
                name="totp"
                label={t('sign_in.totp')}
                hint={t('sign_in.totp_hint')}
                autocomplete="one-time-code"
                inputmode="numeric"
                focus
              />
            )}
          </>
        )}
        <p class="form-problem" role="alert">
          {problem}
        </p>
        <button type="submit" class="button primary" disabled={wait}>
          {t('sign_in.submit')}
        </button>
        <button
          type="button"
          class="quiet"
          data-switch
          onClick={() => {
            setByCode(!byCode);
            setWithTotp(false);
            setProblem('');
          }}
        >
          {byCode ? t('sign_in.by_password') : t('sign_in.by_code')}
        </button>
      </form>
    </Gate>
  );
}

interface GateProps {
  readonly title: string;
  readonly lead: string;
  readonly onLanguage: (language: Language) => void;
  readonly children: ComponentChildren;
}

/** The look that sign-in and account share. */
export function Gate({ title, lead, onLanguage, children }: GateProps) {
  const { t } = useWords();
  return (
    <div class="gate">
      <main class="gate-card">
        <p class="brand">
          <Mark />
          {t('app.name')}
        </p>
        <h1>{title}</h1>
        <p class="gate-lead">{lead}</p>
        {children}
      </main>
      <footer class="gate-foot">
        <LanguageChoice onLanguage={onLanguage} />
      </footer>
    </div>
  );
}

interface FieldProps {
  readonly name: string;
  readonly label: string;
  readonly autocomplete: string;
  readonly type?: 'text' | 'password';
  readonly hint?: string;
  readonly inputmode?: 'numeric';
  readonly focus?: boolean;
}

export function Field({ name, label, autocomplete, type = 'text', hint, inputmode, focus = false }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        name={name}
        // Preact's types tie the role to each type; ours have none.
        type={type as 'text'}
        autocomplete={autocomplete}
        inputMode={inputmode}
        autocapitalize="none"
        spellcheck={false}
        required
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        ref={focus ? focusOnce : null}
      />
      {hint !== undefined && (
        <p class="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

function focusOnce(element: HTMLInputElement | null): void {
  element?.focus();
}

function totpProblemKey(error: unknown) {
  const key = problemKey(error, false);
  return key === 'sign_in.wrong_password' ? ('sign_in.wrong_totp' as const) : key;
}

function problemKey(error: unknown, byCode: boolean) {
  if (error instanceof ApiError) {
    if (error.status === 429) return 'sign_in.too_often' as const;
    if (['signed-out', 'forbidden', 'refused'].includes(error.kind)) {
      return byCode ? ('sign_in.wrong_code' as const) : ('sign_in.wrong_password' as const);
    }
  }
  return failureOf(error).key;
}
