/** Small things that sections share: states, facts, histories, hashes, back. */
import type { ComponentChildren } from 'preact';
import type { Change, Subject } from '../../api/officer';
import { Icon } from '../../parts/icons';
import { useOffice } from '../words';

/** More hashes than this are folded away. */
const SHOWN_SUBJECTS = 3;

export type Tone = 'good' | 'bad' | 'warn' | 'plain';

const SIGNS = { good: '✓', bad: '✕', warn: '!', plain: '·' } as const;

/** A state in words, with a sign beside the colour. */
export function State({ tone, text }: { readonly tone: Tone; readonly text: string }) {
  return (
    <span class="state" data-tone={tone}>
      <span class="state-sign" aria-hidden="true">
        {SIGNS[tone]}
      </span>
      {text}
    </span>
  );
}

export type Fact = readonly [name: string, value: ComponentChildren];

/** Names and values; a value of null is left out. */
export function Facts({ facts }: { readonly facts: readonly Fact[] }) {
  return (
    <dl class="office-facts">
      {facts
        .filter(([, value]) => value !== null && value !== '')
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

export function History({ history, zone }: { readonly history: readonly Change[]; readonly zone: string }) {
  const { moment, law } = useOffice();
  return (
    <ol class="history">
      {history.map((change, index) => (
        <li key={index}>
          <time dateTime={new Date(change.at).toISOString()}>{moment(change.at, zone)}</time>
          <span class="history-what">{law(change.what)}</span>
          <span class="history-who">{law(change.who)}</span>
        </li>
      ))}
    </ol>
  );
}

export function Subjects({ subjects }: { readonly subjects: readonly Subject[] }) {
  const { t, format, find } = useOffice();
  if (subjects.length === 0) return <>{t('subjects.none')}</>;
  const line = (subject: Subject) => (
    <li key={subject.hash}>
      {find(`subject.${subject.kind}`) ?? subject.kind} <code>{subject.hash}</code>
    </li>
  );
  if (subjects.length <= SHOWN_SUBJECTS) return <ul class="subjects">{subjects.map(line)}</ul>;
  return (
    <details class="subjects-all">
      <summary>{t('subjects.count', { count: subjects.length, number: format.number(subjects.length) })}</summary>
      <ul class="subjects">{subjects.map(line)}</ul>
    </details>
  );
}

export function Back({ to, text }: { readonly to: string; readonly text: string }) {
  return (
    <a class="back" href={to}>
      <Icon name="left" />
      {text}
    </a>
  );
}

/** A part of a section with its own heading. */
export function Card({
  title,
  name,
  children,
  action,
}: {
  readonly title: string;
  readonly name: string;
  readonly children: ComponentChildren;
  readonly action?: ComponentChildren;
}) {
  return (
    <section class="card office-card" data-card={name}>
      <header class="office-card-head">
        <h2>{title}</h2>
        {action}
      </header>
      {children}
    </section>
  );
}
