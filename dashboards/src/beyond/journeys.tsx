/**
 * From where to where: over the whole site where visits begin, the commonest steps
 * and where visits end; around one page the flow in and out of it. The same as a
 * table for who reads better so.
 */
import { useId, useState } from 'preact/hooks';
import { journeys as askJourneys, type JourneysAnswer, type PageVisits } from '../api/kept';
import type { Value } from '../api/types';
import { Icon } from '../parts/icons';
import { NO_NUMBER } from '../words/formats';
import type { BeyondProps } from './index';
import { useAsked } from './asked';
import { flowOf, ribbon, type Placed } from './model/flow';
import { journeysAsked } from './model/questions';
import { Answered, Csv, Panel, stateOf, Switch } from './parts/panel';
import { useBeyond, type BeyondWords } from './words';

/** Rows of each list of the whole site. */
const LIST_ROWS = 8;
/** Merged by the guard of small counts: no page to go to. */
const MERGED = '(other)';

type Look = 'flow' | 'table';

export function Journeys({ view, now, refresh }: BeyondProps) {
  const words = useBeyond();
  const { t } = words;
  const [page, setPage] = useState<string | null>(null);
  const [look, setLook] = useState<Look>('flow');
  const question = journeysAsked(view, now, page);
  const load = useAsked(JSON.stringify(question), refresh, async (signal) => ({
    answer: await askJourneys(question, signal),
    // What stays while another page is asked belongs to the page before.
    page,
  }));
  const shown = load.answer?.page ?? null;
  const answered = { ...load, answer: load.answer?.answer ?? null };
  const known = pagesOf(answered.answer);
  return (
    <Panel
      name="journeys"
      wide
      state={stateOf(answered)}
      head={
        <>
          <PageChoice key={page ?? ''} page={page} known={known} onPage={setPage} />
          <Switch
            label={t('journeys.as')}
            value={look}
            onValue={setLook}
            options={[
              ['flow', t('journeys.flow')],
              ['table', t('journeys.table')],
            ]}
          />
          <Csv name="journeys" title={t('journeys.title')} question={question} />
        </>
      }
    >
      <Answered load={answered}>
        {(answer) => {
          if (isEmpty(answer)) {
            return <p class="panel-empty">{t(shown === null ? 'journeys.none' : 'journeys.none_page')}</p>;
          }
          if (look === 'table') return <Table answer={answer} page={shown} />;
          return shown === null ? (
            <Whole answer={answer} onPage={setPage} />
          ) : (
            <Around answer={answer} page={shown} onPage={setPage} />
          );
        }}
      </Answered>
    </Panel>
  );
}

interface ChoiceProps {
  readonly page: string | null;
  readonly known: readonly string[];
  readonly onPage: (page: string | null) => void;
}

function PageChoice({ page, known, onPage }: ChoiceProps) {
  const { t } = useBeyond();
  const id = useId();
  const [typed, setTyped] = useState(page ?? '');
  const choose = (text: string) => {
    const path = text.trim();
    if (path === '') onPage(null);
    else onPage(path.startsWith('/') ? path : `/${path}`);
  };
  return (
    <form
      class="journeys-choice"
      data-form="journeys"
      onSubmit={(event) => {
        event.preventDefault();
        choose(typed);
      }}
    >
      {page !== null && (
        <button type="button" class="quiet" data-all-pages onClick={() => onPage(null)}>
          <Icon name="left" />
          {t('journeys.all')}
        </button>
      )}
      <label>
        <span class="visually-hidden">{t('journeys.choose')}</span>
        <input
          type="text"
          name="page"
          list={id}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          placeholder={t('journeys.choose')}
          value={typed}
          onInput={(event) => {
            const { value } = event.currentTarget;
            setTyped(value);
            // What is chosen from the list, and not typed, is meant at once.
            const typing = event instanceof InputEvent && event.inputType !== 'insertReplacementText';
            if (!typing && known.includes(value)) choose(value);
          }}
        />
        <datalist id={id}>
          {known.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
      </label>
      <button type="submit" class="button">
        {t('journeys.show')}
      </button>
    </form>
  );
}

interface WholeProps {
  readonly answer: JourneysAnswer;
  readonly onPage: (page: string) => void;
}

function Whole({ answer, onPage }: WholeProps) {
  const words = useBeyond();
  const { t } = words;
  const steps = answer.results.slice(0, LIST_ROWS);
  const largest = Math.max(1, ...steps.map((step) => step.visits ?? 0));
  return (
    <>
      <div class="journeys-whole" data-journeys="whole">
        <Ends name="entries" title={t('journeys.entries')} pages={answer.meta.entries ?? []} onPage={onPage} />
        <div>
          <h3>{t('journeys.steps')}</h3>
          <ol class="journeys-list">
            {steps.map((step) => (
              <li
                key={`${step.from}\n${step.to}`}
                data-step={`${step.from} ${step.to}`}
                data-value={String(step.visits)}
                style={{ '--share': share(step.visits, largest) }}
              >
                <span class="journeys-step">
                  <PageName page={step.from} onPage={onPage} />
                  {step.from !== step.to && (
                    <>
                      <Icon name="list" />
                      <PageName page={step.to} onPage={onPage} />
                    </>
                  )}
                </span>
                <Visits visits={step.visits} />
              </li>
            ))}
          </ol>
        </div>
        <Ends name="exits" title={t('journeys.exits')} pages={answer.meta.exits ?? []} onPage={onPage} />
      </div>
      <p class="beyond-hint">{t('journeys.hint')}</p>
    </>
  );
}

interface EndsProps {
  readonly name: string;
  readonly title: string;
  readonly pages: readonly PageVisits[];
  readonly onPage: (page: string) => void;
}

function Ends({ name, title, pages, onPage }: EndsProps) {
  const shown = pages.slice(0, LIST_ROWS);
  const largest = Math.max(1, ...shown.map((each) => each.visits ?? 0));
  return (
    <div data-ends={name}>
      <h3>{title}</h3>
      <ol class="journeys-list">
        {shown.map((each) => (
          <li
            key={each.page}
            data-row={each.page}
            data-value={String(each.visits)}
            style={{ '--share': share(each.visits, largest) }}
          >
            <PageName page={each.page} onPage={onPage} />
            <Visits visits={each.visits} />
          </li>
        ))}
      </ol>
    </div>
  );
}

interface AroundProps {
  readonly answer: JourneysAnswer;
  readonly page: string;
  readonly onPage: (page: string) => void;
}

function Around({ answer, page, onPage }: AroundProps) {
  const { t } = useBeyond();
  const flow = flowOf(page, answer);
  return (
    <div
      class="flow"
      role="group"
      aria-label={t('journeys.around', { page })}
      data-journeys="around"
      data-page={page}
      style={{ '--high': `${flow.height}px` }}
    >
      <Side side="before" title={t('journeys.before')} rows={flow.before} onPage={onPage} />
      <Ribbons side="before" rows={flow.before} height={flow.height} />
      <p class="flow-page" style={{ '--top': `${flow.top}px`, '--wide': `${flow.wide}px` }}>
        <span title={page}>{page}</span>
      </p>
      <Ribbons side="after" rows={flow.after} height={flow.height} />
      <Side side="after" title={t('journeys.after')} rows={flow.after} onPage={onPage} />
    </div>
  );
}

interface SideProps {
  readonly side: 'before' | 'after';
  readonly title: string;
  readonly rows: readonly Placed[];
  readonly onPage: (page: string) => void;
}

function Side({ side, title, rows, onPage }: SideProps) {
  const { t } = useBeyond();
  const largest = Math.max(1, ...rows.map((row) => row.visits));
  return (
    <div class="flow-side" data-side={side}>
      <h3>{title}</h3>
      <ol class="journeys-list flow-rows">
        {rows.map((row) => (
          <li
            key={`${row.kind} ${row.page}`}
            data-kind={row.kind}
            data-row={row.page}
            data-value={row.visits}
            style={{
              '--share': share(row.visits, largest),
              '--top': `${row.top}px`,
              '--row': `${row.height}px`,
              '--at': `${row.at - row.top}px`,
              '--wide': `${row.wide}px`,
            }}
          >
            {row.kind === 'page' ? (
              <PageName page={row.page} onPage={onPage} />
            ) : (
              <span class="journeys-end">{t(END_KEYS[row.kind])}</span>
            )}
            <Visits visits={row.visits} />
          </li>
        ))}
      </ol>
    </div>
  );
}

const END_KEYS = { entry: 'journeys.entered', exit: 'journeys.left', rest: 'journeys.rest' } as const;

interface RibbonsProps {
  readonly side: 'before' | 'after';
  readonly rows: readonly Placed[];
  readonly height: number;
}

function Ribbons({ side, rows, height }: RibbonsProps) {
  return (
    <svg
      class="flow-ribbons"
      viewBox={`0 0 100 ${height}`}
      height={height}
      preserveAspectRatio="none"
      aria-hidden="true"
      focusable="false"
    >
      {rows.map((row) => (
        <path key={`${row.kind} ${row.page}`} data-kind={row.kind} d={ribbon(row, side)} />
      ))}
    </svg>
  );
}

function Table({ answer, page }: { readonly answer: JourneysAnswer; readonly page: string | null }) {
  const { t, format } = useBeyond();
  const entered = (answer.meta.entries ?? []).filter((each) => page === null || each.page === page);
  const left = (answer.meta.exits ?? []).filter((each) => page === null || each.page === page);
  const lines: readonly (readonly [from: string, to: string, visits: Value, end: boolean])[] = [
    ...entered.map((each) => [t('journeys.entered'), each.page, each.visits, true] as const),
    ...[...(answer.meta.before ?? []), ...answer.results].map((step) => [step.from, step.to, step.visits, false] as const),
    ...left.map((each) => [each.page, t('journeys.left'), each.visits, true] as const),
  ];
  const other = (name: string) => (name === MERGED ? t('value.other') : name);
  return (
    <div class="beyond-scroll" tabIndex={0} role="group" aria-labelledby="panel-journeys">
      <table class="beyond-table" data-journeys="table">
        <thead>
          <tr>
            <th scope="col">{t('journeys.from')}</th>
            <th scope="col">{t('journeys.to')}</th>
            <th scope="col" class="amount">
              {t('journeys.visits')}
            </th>
          </tr>
        </thead>
        <tbody>
          {lines.map(([from, to, visits, end], index) => (
            <tr key={index} data-end={end}>
              <td>{other(from)}</td>
              <td>{other(to)}</td>
              <td class="amount">{visits === null ? NO_NUMBER : format.number(visits)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function PageName({ page, onPage }: { readonly page: string; readonly onPage: (page: string) => void }) {
  const { t } = useBeyond();
  if (page === MERGED || page === '') return <span class="journeys-end">{t(page === '' ? 'value.unknown' : 'value.other')}</span>;
  return (
    <button type="button" class="journeys-page" title={page} data-page={page} onClick={() => onPage(page)}>
      {page}
    </button>
  );
}

function Visits({ visits }: { readonly visits: Value }) {
  const words = useBeyond();
  return (
    <span class="journeys-visits">
      <span aria-hidden="true">{visits === null ? NO_NUMBER : words.format.number(visits)}</span>
      <span class="visually-hidden">{spoken(words, visits)}</span>
    </span>
  );
}

function spoken({ t, format }: BeyondWords, visits: Value): string {
  return visits === null ? NO_NUMBER : t('journeys.visits_count', { count: visits, number: format.number(visits) });
}

function share(visits: Value, largest: number): string {
  return `${(((visits ?? 0) / largest) * 100).toFixed(2)}%`;
}

function isEmpty(answer: JourneysAnswer): boolean {
  const { before = [], entries = [], exits = [] } = answer.meta;
  return answer.results.length + before.length + entries.length + exits.length === 0;
}

/** Pages that the answer names, the commonest first. */
function pagesOf(answer: JourneysAnswer | null): readonly string[] {
  if (!answer) return [];
  const { before = [], entries = [], exits = [] } = answer.meta;
  const named = [
    ...entries.map((each) => each.page),
    ...answer.results.flatMap((step) => [step.from, step.to]),
    ...before.map((step) => step.from),
    ...exits.map((each) => each.page),
  ];
  return [...new Set(named)].filter((page) => page !== MERGED && page !== '');
}
