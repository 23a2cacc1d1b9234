/** What the panels beyond share: a frame, waiting, being refused, being empty, a file. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { asCsv, type Asked as Question, type Guarded } from '../../api/kept';
import type { Query, Session } from '../../api/types';
import { mayManage, SETTINGS_PATH } from '../../model/roles';
import { Failure } from '../../parts/failure';
import { Icon } from '../../parts/icons';
import { saveFile } from '../../parts/save';
import type { Asked } from '../asked';
import { useBeyond, type BeyondWords } from '../words';

interface PanelProps {
  readonly name: 'goals' | 'funnels' | 'journeys' | 'retention';
  readonly state: string;
  readonly wide?: boolean;
  /** Controls beside the title. */
  readonly head?: ComponentChildren;
  readonly children: ComponentChildren;
}

export function Panel({ name, state, wide = false, head, children }: PanelProps) {
  const { t } = useBeyond();
  return (
    <section
      class={`card panel beyond-panel ${wide ? 'beyond-wide' : ''}`}
      aria-labelledby={`panel-${name}`}
      data-panel={name}
      data-state={state}
    >
      <header class="panel-head">
        <h2 id={`panel-${name}`}>{t(`${name}.title`)}</h2>
        {head}
      </header>
      <div class="panel-body" aria-busy={state === 'loading'}>
        {children}
      </div>
    </section>
  );
}

interface AnsweredProps<T> {
  readonly load: Asked<T>;
  readonly children: (answer: T) => ComponentChildren;
}

/** An answer, or why there is none. */
export function Answered<T extends { readonly meta: Guarded }>({ load, children }: AnsweredProps<T>) {
  const words = useBeyond();
  const { t } = words;
  if (load.state === 'failed') return <Failure error={load.error} retry={load.again} />;
  if (load.answer === null) {
    return (
      <div class="bones" role="status" aria-label={t('app.loading')}>
        {[92, 84, 76, 68].map((share) => (
          <span class="bone" key={share} style={{ '--share': `${share}%` }} />
        ))}
      </div>
    );
  }
  const refusal = refusalOf(words, load.answer.meta);
  if (refusal !== null) return <p class="panel-empty">{refusal}</p>;
  return <>{children(load.answer)}</>;
}

/** What a panel's `data-state` is. */
export function stateOf<T extends { readonly results: readonly unknown[] }>(load: Asked<T>): string {
  return load.state === 'ready' && load.answer?.results.length === 0 ? 'empty' : load.state;
}

/** Why the guard of small counts answers nothing; null if it does answer. */
export function refusalOf({ t, find, format }: BeyondWords, meta: Guarded): string | null {
  const refused = meta.guard?.refused ?? null;
  if (refused === null) return null;
  const text = find(`refused.${refused}`) ?? t('refused.other');
  return text.replace('{k}', format.number(meta.guard?.k ?? 0));
}

interface FirstProps {
  readonly title: string;
  readonly text: string;
  readonly action: string;
  /** The section of the settings where it is made. */
  readonly section: 'goals' | 'funnels';
  readonly site: string;
  readonly session: Session;
}

/** Nothing yet: what it is good for, and where to make the first one. */
export function First({ title, text, action, section, site, session }: FirstProps) {
  const { t } = useBeyond();
  return (
    <div class="beyond-first" data-first={section}>
      <p class="beyond-first-title">{title}</p>
      <p>{text}</p>
      {mayManage(session) ? (
        <a class="button" href={settingsAddress(site, `${section}/new`)}>
          {action}
        </a>
      ) : (
        <p>{t('beyond.ask_owner')}</p>
      )}
    </div>
  );
}

export function settingsAddress(site: string, section: string): string {
  return `${SETTINGS_PATH}?${new URLSearchParams({ site })}#${section}`;
}

interface CsvProps {
  readonly name: 'query' | 'funnel' | 'journeys' | 'retention';
  readonly title: string;
  readonly question: Question | Query;
}

/** The answer as a file. */
export function Csv({ name, title, question }: CsvProps) {
  const { t, find } = useBeyond();
  const [failed, setFailed] = useState(false);
  const label = t('beyond.csv', { name: title });
  return (
    <button
      type="button"
      class="icon-button beyond-csv"
      aria-label={failed ? `${label}: ${find('error.title') ?? ''}` : label}
      title={label}
      data-csv={name}
      data-failed={failed}
      onClick={() => {
        setFailed(false);
        asCsv(name, question).then(
          // The server's text begins with a mark of its encoding, which reading it took away.
          (text) => saveFile(`${question.site_id}-${title}`, 'csv', `\uFEFF${text.replace(/^\uFEFF/, '')}`),
          () => setFailed(true),
        );
      }}
    >
      <Icon name="fall" />
    </button>
  );
}

interface SegmentsProps<T extends string | number> {
  readonly label: string;
  readonly options: readonly (readonly [value: T, name: string])[];
  readonly value: T;
  readonly onValue: (value: T) => void;
}

/** One of a few, side by side. */
export function Switch<T extends string | number>({ label, options, value, onValue }: SegmentsProps<T>) {
  return (
    <div class="segments small" role="group" aria-label={label}>
      {options.map(([each, name]) => (
        <button
          key={each}
          type="button"
          data-choice={each}
          aria-pressed={each === value}
          onClick={() => onValue(each)}
        >
          {name}
        </button>
      ))}
    </div>
  );
}
