/**
 * What people keep from the page itself: filters as a segment, a note on a day.
 * Both take plain properties, so that any page can hold them.
 */
import { useRef, useState } from 'preact/hooks';
import { put, type Filters, type Kept, type Segment } from '../api/kept';
import type { FilterClause, Session } from '../api/types';
import { failureOf } from '../load';
import { Icon } from '../parts/icons';
import { Popover } from '../parts/popover';
import { flat, same } from './model/flat';
import { settingsAddress } from './parts/panel';
import { useBeyond, type BeyondWords } from './words';
import './keep.css';

/** The longest name and note that a form takes, in characters; the server has the last word. */
const MAX_NAME = 80;
const MAX_NOTE = 300;

interface SegmentMenuProps {
  readonly site: string;
  readonly segments: readonly Segment[];
  /** The filters in force. */
  readonly filters: readonly FilterClause[];
  /** Whether this person may keep a segment. */
  readonly mayKeep: boolean;
  readonly onFilters: (filters: readonly FilterClause[]) => void;
  /** A segment was kept: what the site keeps is to be asked again. */
  readonly onKept: () => void;
}

/** Chooses a segment, or keeps the filters in force as one. */
export function SegmentMenu({ site, segments, filters, mayKeep, onFilters, onKept }: SegmentMenuProps) {
  const { t } = useBeyond();
  const panel = useRef<HTMLDivElement>(null);
  const [said, setSaid] = useState('');
  const chosen = segments.find((each) => each.filters.length > 0 && same(filtersOf(each), filters));
  return (
    <Popover
      class="keep"
      align="end"
      name={chosen ? `${t('segments.title')}: ${chosen.name}` : t('segments.title')}
      label={
        <>
          <Icon name="segment" />
          <span class="keep-name">{chosen?.name ?? t('segments.title')}</span>
        </>
      }
    >
      {(close) => (
        <div class="keep-panel" ref={panel} tabIndex={-1} data-segments>
          <p class="keep-title">{t('segments.title')}</p>
          <p class="visually-hidden" role="status">
            {said}
          </p>
          {segments.length === 0 && <p class="keep-lead">{t('segments.none')}</p>}
          <ul class="keep-list">
            {segments.map((each) => (
              <li key={each.id}>
                <button
                  type="button"
                  class="item"
                  data-item
                  data-segment={each.id}
                  aria-pressed={each === chosen}
                  onClick={() => {
                    onFilters(each === chosen ? [] : filtersOf(each));
                    close();
                  }}
                >
                  {each.name}
                  {each === chosen && <Icon name="check" />}
                </button>
              </li>
            ))}
          </ul>
          {mayKeep && filters.length > 0 && !chosen && (
            <KeepForm
              site={site}
              filters={filters}
              onKept={(name) => {
                // The form goes away, and the focus with it, unless it is taken here.
                panel.current?.focus();
                setSaid(t('segments.kept', { name }));
                onKept();
              }}
            />
          )}
          {mayKeep && (
            <p class="keep-more">
              <a href={settingsAddress(site, 'segments')} data-item>
                {t('segments.manage')}
              </a>
            </p>
          )}
        </div>
      )}
    </Popover>
  );
}

/** A flat segment becomes its filters, which the address can hold and anybody can change; another one stays itself. */
function filtersOf(segment: Segment): readonly FilterClause[] {
  return flat(segment.filters) ?? [['is', 'segment', [segment.id]]];
}

interface KeepFormProps {
  readonly site: string;
  readonly filters: Filters;
  readonly onKept: (name: string) => void;
}

function KeepForm({ site, filters, onKept }: KeepFormProps) {
  const words = useBeyond();
  const { t } = words;
  const { busy, problem, done, run } = useKeeping(words);
  return (
    <form
      class="keep-form"
      data-form="segment"
      onSubmit={(event) => {
        event.preventDefault();
        const form = event.currentTarget;
        const name = textOf(form, 'name');
        if (name === '') return;
        void run(async () => {
          await put(site, 'segment', { name, filters });
          onKept(name);
        });
      }}
    >
      <label>
        <span>{t('segments.save')}</span>
        <input type="text" name="name" placeholder={t('segments.name')} maxLength={MAX_NAME} autocomplete="off" required />
      </label>
      <p class="form-problem" role="alert">
        {problem}
      </p>
      <button type="submit" class="button" aria-disabled={busy}>
        {done ? <Icon name="check" /> : null}
        {t('segments.keep')}
      </button>
    </form>
  );
}

interface NoteFormProps {
  readonly site: string;
  /** `yyyy-mm-dd`: what the form begins with. */
  readonly day: string;
  /** The last day that can be chosen. */
  readonly today: string;
  readonly onKept: () => void;
}

/** Adds a note to a day. */
export function NoteForm({ site, day, today, onKept }: NoteFormProps) {
  const words = useBeyond();
  const { t } = words;
  const { busy, problem, done, run } = useKeeping(words);
  return (
    <form
      class="keep-form"
      data-form="note"
      onSubmit={(event) => {
        event.preventDefault();
        const form = event.currentTarget;
        const note = { day: textOf(form, 'day'), text: textOf(form, 'text') };
        if (note.text === '' || note.day === '') return;
        void run(async () => {
          await put(site, 'note', note);
          form.reset();
          onKept();
        });
      }}
    >
      <label>
        <span>{t('notes.day')}</span>
        <input type="date" name="day" defaultValue={day} max={today} required />
      </label>
      <label>
        <span>{t('notes.text')}</span>
        <textarea name="text" rows={2} maxLength={MAX_NOTE} required />
      </label>
      <p class="keep-lead">{t('notes.names_nobody')}</p>
      <p class="form-problem" role="alert">
        {problem}
      </p>
      <p class="keep-done" role="status">
        {done ? t('notes.added') : ''}
      </p>
      <button type="submit" class="button" aria-disabled={busy}>
        {t('notes.add')}
      </button>
    </form>
  );
}

/** The form of a note behind a button. */
export function NoteMenu(props: NoteFormProps) {
  const { t } = useBeyond();
  return (
    <Popover class="keep keep-note" align="end" name={t('notes.title')} label={<Icon name="note" />}>
      {() => (
        <div class="keep-panel" data-notes>
          <p class="keep-title">{t('notes.title')}</p>
          <p class="keep-lead">{t('notes.lead')}</p>
          <NoteForm {...props} />
          <p class="keep-more">
            <a href={settingsAddress(props.site, 'notes')} data-item>
              {t('notes.manage')}
            </a>
          </p>
        </div>
      )}
    </Popover>
  );
}

export interface KeepProps {
  readonly site: string;
  readonly session: Session;
  readonly kept: Kept;
  readonly filters: readonly FilterClause[];
  readonly today: string;
  /** Under a shared link nothing can be kept. */
  readonly shared: boolean;
  readonly onFilters: (filters: readonly FilterClause[]) => void;
  readonly onKept: () => void;
}

/** Both, for the header of the dashboard. */
export function Keep({ site, kept, filters, today, shared, onFilters, onKept }: KeepProps) {
  return (
    <div class="keep-tools">
      {!(shared && kept.segments.length === 0) && (
        <SegmentMenu
          site={site}
          segments={kept.segments}
          filters={filters}
          mayKeep={!shared}
          onFilters={onFilters}
          onKept={onKept}
        />
      )}
      {!shared && <NoteMenu site={site} day={today} today={today} onKept={onKept} />}
    </div>
  );
}

/** One deed of a small form: under way, done, or why not. */
function useKeeping({ t }: BeyondWords) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  const [done, setDone] = useState(false);
  const run = async (deed: () => Promise<void>) => {
    if (busy) return;
    setBusy(true);
    setProblem('');
    setDone(false);
    try {
      await deed();
      setDone(true);
    } catch (error) {
      const { key, detail } = failureOf(error);
      setProblem(detail === '' ? t(key) : detail);
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, done, run };
}

function textOf(form: HTMLFormElement, name: string): string {
  const value = new FormData(form).get(name);
  return typeof value === 'string' ? value.trim() : '';
}
