/**
 * Fields of forms: each with its label, its hint, its bound, and what is wrong
 * with it, tied together for those who hear the page. A problem gets the focus.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { bytes } from '../model/forms';
import { useOffice } from '../words';
import type { Deed } from './deed';

interface FieldProps {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly value?: string;
  readonly required?: boolean;
  /** The most bytes that the server takes. */
  readonly most?: number;
  /** Identifies a person: nothing remembers it. */
  readonly secret?: boolean;
  readonly wide?: boolean;
}

interface TextProps extends FieldProps {
  readonly type?: 'text' | 'password' | 'date' | 'datetime-local' | 'number';
  readonly autocomplete?: string;
  /** The fewest characters. */
  readonly least?: number;
  readonly inputmode?: 'numeric';
  readonly min?: string;
  readonly max?: string;
  /** What may be meant: a value, or a value with its name. */
  readonly known?: readonly (readonly [value: string, name?: string])[] | undefined;
  readonly onValue?: (value: string) => void;
}

export function Text(props: TextProps) {
  const { name, value = '', type = 'text', required = false, most, secret = false } = props;
  const { ids, long, look } = useBound(most, props.hint !== undefined);
  return (
    <Labelled {...props} ids={ids} long={long}>
      <input
        id={ids.field}
        name={name}
        // Preact's types tie the role to each type; ours have none.
        type={type as 'text'}
        defaultValue={value}
        required={required}
        minLength={props.least}
        maxLength={most}
        min={props.min}
        max={props.max}
        inputMode={props.inputmode}
        list={props.known ? `${ids.field}-known` : undefined}
        autocomplete={props.autocomplete ?? 'off'}
        autocapitalize="none"
        spellcheck={type === 'text' && !secret}
        data-secret={secret ? '' : undefined}
        aria-invalid={long ? true : undefined}
        aria-describedby={ids.described}
        onInput={(event) => {
          look(event.currentTarget);
          props.onValue?.(event.currentTarget.value);
        }}
      />
      {props.known && (
        <datalist id={`${ids.field}-known`}>
          {props.known.map(([each, text]) => (
            <option key={each} value={each}>
              {text}
            </option>
          ))}
        </datalist>
      )}
    </Labelled>
  );
}

export function Area(props: FieldProps & { readonly rows?: number; readonly onValue?: (value: string) => void }) {
  const { name, value = '', required = false, most, rows = 4, secret = false } = props;
  const { ids, long, look } = useBound(most, props.hint !== undefined);
  return (
    <Labelled {...props} ids={ids} long={long}>
      <textarea
        id={ids.field}
        name={name}
        rows={rows}
        defaultValue={value}
        required={required}
        maxLength={most}
        autocomplete="off"
        spellcheck={!secret}
        data-secret={secret ? '' : undefined}
        aria-invalid={long ? true : undefined}
        aria-describedby={ids.described}
        onInput={(event) => {
          look(event.currentTarget);
          props.onValue?.(event.currentTarget.value);
        }}
      />
    </Labelled>
  );
}

export type Options = readonly (readonly [value: string, name: string])[];

interface ChoiceProps extends FieldProps {
  readonly options: Options;
  readonly onValue?: (value: string) => void;
}

/** One of a list. */
export function Choice(props: ChoiceProps) {
  const { name, options, value, required = false, onValue } = props;
  const { ids } = useBound(undefined, props.hint !== undefined);
  return (
    <Labelled {...props} ids={ids} long="">
      <select
        id={ids.field}
        name={name}
        required={required}
        aria-describedby={ids.described}
        onChange={(event) => onValue?.(event.currentTarget.value)}
      >
        {options.map(([each, text]) => (
          <option key={each} value={each} selected={each === value}>
            {text}
          </option>
        ))}
      </select>
    </Labelled>
  );
}

interface RadiosProps {
  readonly name: string;
  readonly label: string;
  readonly options: readonly (readonly [value: string, name: string, about?: string])[];
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly wide?: boolean;
}

/** One of a few, all of them in sight. */
export function Radios({ name, label, options, value, onValue, wide = true }: RadiosProps) {
  return (
    <fieldset class={`radios ${wide ? 'field-wide' : ''}`} data-field={name}>
      <legend>{label}</legend>
      {options.map(([each, text, about]) => (
        <label key={each} class="radio-card" data-option={each}>
          <input type="radio" name={name} value={each} checked={each === value} onChange={() => onValue(each)} />
          <span>
            <span class="radio-name">{text}</span>
            {about !== undefined && <span class="radio-about">{about}</span>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

interface TickProps {
  readonly name: string;
  readonly label: string;
  readonly value?: string;
  readonly checked?: boolean;
  /** The form is not sent without it. */
  readonly required?: boolean;
}

export function Tick({ name, label, value = 'on', checked = false, required = false }: TickProps) {
  return (
    <label class="tick">
      <input type="checkbox" name={name} value={value} defaultChecked={checked} required={required} />
      <span>{label}</span>
    </label>
  );
}

interface FormProps {
  readonly name: string;
  readonly deed: Deed;
  readonly submit: string;
  readonly danger?: boolean;
  readonly onSubmit: (form: HTMLFormElement) => void;
  readonly children: ComponentChildren;
  /** Beside the button. */
  readonly more?: ComponentChildren;
}

/** A form with its button and the place where its problem is said. */
export function Form({ name, deed, submit, danger = false, onSubmit, children, more }: FormProps) {
  const { t } = useOffice();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (deed.problem === '' || deed.field === '') return;
    const field = form.current?.elements.namedItem(deed.field);
    if (field instanceof HTMLElement) field.focus();
  }, [deed.problem, deed.field]);
  return (
    <form
      ref={form}
      class="office-form"
      data-form={name}
      data-busy={deed.busy}
      autocomplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit(event.currentTarget);
      }}
    >
      <div class="office-fields">{children}</div>
      <p class="form-problem" role="alert" data-problem>
        {deed.problem}
      </p>
      <div class="office-buttons">
        <button type="submit" class={`button primary ${danger ? 'danger' : ''}`} aria-disabled={deed.busy}>
          {deed.busy ? t('form.busy') : submit}
        </button>
        {more}
      </div>
    </form>
  );
}

/** Empties what identifies a person, once it has been used. */
export function forgetSecrets(form: HTMLFormElement): void {
  for (const field of form.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>('[data-secret]')) field.value = '';
}

interface Ids {
  readonly field: string;
  readonly hint: string;
  readonly wrong: string;
  readonly described: string | undefined;
}

interface LabelledProps extends FieldProps {
  readonly ids: Ids;
  readonly long: string;
  readonly children: ComponentChildren;
}

function Labelled({ label, hint, wide = false, required = false, ids, long, children }: LabelledProps) {
  const { t } = useOffice();
  return (
    <div class={`field ${wide ? 'field-wide' : ''}`}>
      <label for={ids.field}>
        {label}
        {!required && <span class="field-optional"> {t('form.optional')}</span>}
      </label>
      {children}
      {hint !== undefined && (
        <p class="field-hint" id={ids.hint}>
          {hint}
        </p>
      )}
      <p class="field-error" id={ids.wrong} aria-live="polite">
        {long}
      </p>
    </div>
  );
}

/** A text's length is counted in bytes, as the server does: a Russian letter takes two. */
function useBound(most: number | undefined, hinted: boolean) {
  const { t, format } = useOffice();
  const id = useId();
  const [long, setLong] = useState('');
  const look = (field: HTMLInputElement | HTMLTextAreaElement) => {
    const over = most === undefined ? 0 : bytes(field.value) - most;
    const letters = Math.ceil(over / 2);
    const text = over > 0 ? t('form.over', { count: letters, number: format.number(letters) }) : '';
    field.setCustomValidity(text);
    setLong(text);
  };
  const ids: Ids = {
    field: id,
    hint: `${id}-hint`,
    wrong: `${id}-wrong`,
    described: hinted ? `${id}-hint ${id}-wrong` : `${id}-wrong`,
  };
  return { ids, long, look };
}
