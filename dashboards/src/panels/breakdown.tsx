/** A panel: tabs of breakdowns, and the first rows of the chosen one. */
import { useState } from 'preact/hooks';
import type { Value } from '../api/types';
import { useAnswer, type Load } from '../load';
import { chosenOf, offeredOf, type Breakdown, type Panel } from '../model/panels';
import type { Days, Now } from '../model/period';
import { metricsOf, panelQuery } from '../model/questions';
import { isFiltered, isNarrowed, maxFilters, withToggled, type View } from '../model/view';
import { Boundary } from '../parts/boundary';
import { ExportButton } from '../parts/export-button';
import { Failure } from '../parts/failure';
import { refusalText } from '../parts/guard';
import { Icon } from '../parts/icons';
import { useWords, type Words } from '../words/language';
import { ListDialog } from './list-dialog';
import { WorldMap } from './map';
import { Rows } from './rows';

interface Props {
  readonly panel: Panel;
  readonly view: View;
  readonly now: Now;
  readonly days: Days | null;
  /** All visitors of the period, of which a row is a share; null while not known. */
  readonly visitors: Value;
  readonly refresh: number;
  readonly onView: (view: View, how?: 'push' | 'replace') => void;
}

export function BreakdownPanel({ panel, view, now, days, visitors, refresh, onView }: Props) {
  const words = useWords();
  const { t } = words;
  const [open, setOpen] = useState(false);
  const narrowed = (dimension: string) => isNarrowed(view, dimension);
  const breakdown = chosenOf(panel, view.tabs, narrowed);
  if (!breakdown) return null;
  const title = t(`panel.${panel.id}` as 'panel.pages');
  const choose = (tab: string) => onView({ ...view, tabs: { ...view.tabs, [panel.id]: tab } }, 'replace');
  const toggle = (value: string) => {
    const filtered = withToggled(view, breakdown.dimension, value);
    if (filtered.filters.length > maxFilters(now.guarded === true)) return;
    const deeper = breakdown.next !== undefined && filtered.filters.length > view.filters.length;
    onView(deeper ? { ...filtered, tabs: { ...filtered.tabs, [panel.id]: breakdown.next ?? '' } } : filtered);
  };
  return (
    <section class="card panel" aria-labelledby={`panel-${panel.id}`} data-panel={panel.id}>
      <header class="panel-head">
        <h2 id={`panel-${panel.id}`}>{title}</h2>
        <Tabs panel={panel} offered={offeredOf(panel, narrowed)} chosen={breakdown} onChoose={choose} />
        <ExportButton view={view} now={now} breakdown={breakdown} title={title} />
      </header>
      <Boundary key={breakdown.id}>
        <Content
          key={breakdown.id}
          panel={panel}
          visitors={visitors}
          breakdown={breakdown}
          view={view}
          now={now}
          refresh={refresh}
          onToggle={toggle}
          onAll={() => setOpen(true)}
        />
      </Boundary>
      {open && (
        <ListDialog
          title={title}
          breakdown={breakdown}
          view={view}
          now={now}
          days={days}
          visitors={visitors}
          onToggle={(value) => {
            setOpen(false);
            toggle(value);
          }}
          onClose={() => setOpen(false)}
        />
      )}
    </section>
  );
}

interface TabsProps {
  readonly panel: Panel;
  readonly offered: readonly Breakdown[];
  readonly chosen: Breakdown;
  readonly onChoose: (tab: string) => void;
}

/** Tabs of a panel; breakdowns of one group share a tab and get a second row. */
function Tabs({ panel, offered, chosen, onChoose }: TabsProps) {
  const spoken = useWords();
  if (offered.length === 1) return null;
  const firsts = offered.filter(
    (each, index) => !each.group || offered.findIndex((other) => other.group === each.group) === index,
  );
  const group = chosen.group ? offered.filter((each) => each.group === chosen.group) : [];
  return (
    <>
      <div class="tabs" role="group" aria-labelledby={`panel-${panel.id}`}>
        {firsts.map((each) => (
          <button
            key={each.id}
            type="button"
            data-tab={each.group ?? each.id}
            aria-pressed={each.group ? each.group === chosen.group : each === chosen}
            onClick={() => onChoose(each.id)}
          >
            {tabName(spoken, each.group ?? each.id)}
          </button>
        ))}
      </div>
      {group.length > 0 && (
        <div class="segments small subtabs" role="group" aria-label={tabName(spoken, chosen.group ?? '')}>
          {group.map((each) => (
            <button
              key={each.id}
              type="button"
              data-tab={each.id}
              aria-pressed={each === chosen}
              onClick={() => onChoose(each.id)}
            >
              {tabName(spoken, each.id)}
            </button>
          ))}
        </div>
      )}
    </>
  );
}

interface ContentProps {
  readonly panel: Panel;
  readonly visitors: Value;
  readonly breakdown: Breakdown;
  readonly view: View;
  readonly now: Now;
  readonly refresh: number;
  readonly onToggle: (value: string) => void;
  readonly onAll: () => void;
}

function Content({ panel, visitors, breakdown, view, now, refresh, onToggle, onAll }: ContentProps) {
  const words = useWords();
  const { t } = words;
  const metrics = metricsOf(view, breakdown);
  const load = useAnswer(panelQuery(view, now, panel, breakdown), `${breakdown.id} ${metrics.join()}`, refresh);
  const rows = visibleRows(load, breakdown);
  const guard = load.answer?.meta.guard;
  const state = load.state === 'ready' && rows?.length === 0 ? 'empty' : load.state;
  const shown = breakdown.map ? ROWS_UNDER_MAP : panel.rows;
  return (
    <div class="panel-body" data-tab-content={breakdown.id} data-state={state} aria-busy={state === 'loading'}>
      {load.state === 'failed' ? (
        <Failure error={load.error} retry={load.retry} />
      ) : rows === null ? (
        <Bones rows={panel.rows} />
      ) : guard?.refused ? (
        <p class="panel-empty" data-refused={guard.refused}>
          {refusalText(words, guard)}
        </p>
      ) : rows.length === 0 ? (
        <p class="panel-empty">{t(emptyKey(breakdown, view))}</p>
      ) : (
        <>
          {breakdown.map && <WorldMap rows={rows} isChosen={(country) => isFiltered(view, 'visit:country', country)} onToggle={onToggle} />}
          <Rows
            breakdown={breakdown}
            metrics={metrics}
            rows={rows.slice(0, shown)}
            visitors={visitors}
            view={view}
            few={guard?.k ?? null}
            onToggle={onToggle}
          />
        </>
      )}
      {rows !== null && rows.length > shown && (
        <button type="button" class="quiet panel-all" data-all onClick={onAll}>
          {t('panel.all')}
          <Icon name="list" />
        </button>
      )}
    </div>
  );
}

/** The map takes the room of the others. */
const ROWS_UNDER_MAP = 3;

export function visibleRows(load: Load, breakdown: Breakdown) {
  if (!load.answer) return null;
  return load.answer.results.filter((row) => !breakdown.hidden?.includes(row.dimensions[0] ?? ''));
}

function emptyKey(breakdown: Breakdown, view: View) {
  if (view.filters.length > 0) return 'panel.empty_filtered' as const;
  if (breakdown.id === 'event' || breakdown.id === 'ad') return `panel.empty_${breakdown.id}` as const;
  return breakdown.group === 'campaign' ? ('panel.empty_campaign' as const) : ('panel.empty' as const);
}

function tabName({ find }: Words, id: string): string {
  return find(`tab.${id}`) ?? id;
}

/** Grey lines of the height of rows while the first answer is under way. */
function Bones({ rows }: { readonly rows: number }) {
  const { t } = useWords();
  return (
    <div class="bones" role="status" aria-label={t('app.loading')}>
      {Array.from({ length: rows }, (_, index) => (
        <span class="bone" key={index} style={{ '--share': `${92 - index * 8}%` }} />
      ))}
    </div>
  );
}
