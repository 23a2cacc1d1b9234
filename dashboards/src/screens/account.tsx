/** After the one-time code: a login and a password, so that one can come back. */
import { useState } from 'preact/hooks';
import { setAccount } from '../api/client';
import { failureOf } from '../load';
import { useWords, type Language } from '../words/language';
import { Field, Gate } from './sign-in';

/** Shorter passwords are refused here; the server has the last word. */
const MIN_PASSWORD = 8;

interface Props {
  readonly onLanguage: (language: Language) => void;
  readonly onDone: () => void;
  readonly onLater: () => void;
}

export function Account({ onLanguage, onDone, onLater }: Props) {
  const { t } = useWords();
  const [wait, setWait] = useState(false);
  const [problem, setProblem] = useState('');

  const submit = async (event: SubmitEvent & { currentTarget: HTMLFormElement }) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const [login, password, repeat] = ['login', 'password', 'repeat'].map((name) => String(data.get(name) ?? ''));
    if (!login || !password) return setProblem(t('sign_in.empty'));
    if ([...password].length < MIN_PASSWORD) return setProblem(t('account.short', { count: MIN_PASSWORD }));
    if (password !== repeat) return setProblem(t('account.mismatch'));
    setWait(true);
    setProblem('');
    try {
      await setAccount(login.trim(), password);
      onDone();
    } catch (error) {
      setWait(false);
      const { key, detail } = failureOf(error);
      setProblem(detail === '' ? t(key) : detail);
    }
  };

  return (
    <Gate title={t('account.title')} lead={t('account.lead')} onLanguage={onLanguage}>
      <form class="form" data-form="account" onSubmit={(event) => void submit(event)}>
        <Field name="login" label={t('account.login')} autocomplete="username" focus />
        <Field
          name="password"
          type="password"
          label={t('account.password')}
          hint={t('account.password_hint', { count: MIN_PASSWORD })}
          autocomplete="new-password"
        />
        <Field name="repeat" type="password" label={t('account.repeat')} autocomplete="new-password" />
        <p class="form-problem" role="alert">
          {problem}
        </p>
        <button type="submit" class="button primary" disabled={wait}>
          {t('account.submit')}
        </button>
        <button type="button" class="quiet" data-later onClick={onLater}>
          {t('account.later')}
        </button>
      </form>
    </Gate>
  );
}
