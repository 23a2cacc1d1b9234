/**
 * The graph over time: uPlot on a canvas, a tooltip, flags where the site has
 * remarks, and the same numbers as a hidden table for screen readers and tests.
 *
 * A closer look: dragging over a stretch, a click on a bucket or Enter on the
 * one that the arrow keys are at. Where the guard of small counts holds, only
 * single buckets, which are the whole units that it answers.
 *
 * The x axis counts buckets, not seconds: every bucket is as wide as the next,
 * whatever the clocks did, and the compared period lies on top by its index.
 */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Interval, Value } from '../api/types';
import { addDays, addMonths } from '../model/calendar';
import { METRICS, type MetricName } from '../model/metrics';
import type { Flag } from '../model/notes';
import type { Series } from '../model/series';
import { THEME_EVENT } from '../settings';
import { Icon } from '../parts/icons';
import { NO_NUMBER } from '../words/formats';
import { useWords } from '../words/language';

/** The height of the graph in CSS pixels, wide and narrow. */
const HEIGHT = { wide: 280, narrow: 220 };
const NARROW = 560;
/** Space for one label of the x axis, in CSS pixels. */
const TICK_WIDTH = { wide: 84, narrow: 74 };

/** Space for the y axis, so that the first label of the x axis is not cut, in CSS pixels. */
const MIN_AXIS_WIDTH = 36;
/** Up to so many hours are one day: no need to name it (25 where the clock goes back). */
const HOURS_OF_A_DAY = 25;

interface Props {
  readonly metric: MetricName;
  /** What the numbers are of, where the metric only says how they are written. */
  readonly name?: string;
  readonly interval: Interval;
  readonly series: Series;
  readonly before: Series | null;
  /** A group of fewer people is not shown; null where numbers are exact. */
  readonly few: number | null;
  readonly flags: readonly Flag[];
  /** A stretch of the graph was chosen by dragging: its first and last day. */
  readonly onZoom: (from: string, to: string) => void;
}

interface Hover {
  readonly index: number;
  readonly left: number;
  readonly width: number;
}

export function Graph({ metric, name: own, interval, series, before, few, flags, onZoom }: Props) {
  const { t, format } = useWords();
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hover, setHover] = useState<Hover | null>(null);
  const [paint, setPaint] = useState(0);
  const [places, setPlaces] = useState<readonly number[]>([]);
  const zoom = useRef(onZoom);
  zoom.current = onZoom;

  // Series are made anew on every render; what matters is whether they differ.
  const fingerprint = JSON.stringify([series, before]);
  const guarded = few !== null;
  const single = interval !== 'hour' && series.labels.length > 1;
  const data = useMemo(() => columns(series, before), [fingerprint]);

  useEffect(() => {
    const repaint = () => setPaint((count) => count + 1);
    window.addEventListener(THEME_EVENT, repaint);
    return () => window.removeEventListener(THEME_EVENT, repaint);
  }, []);

  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    const colors = readColors(element);
    const labels = series.labels;
    let dragged = false;
    const narrow = () => element.clientWidth < NARROW;
    const size = () => ({ width: element.clientWidth, height: narrow() ? HEIGHT.narrow : HEIGHT.wide });
    const line = (options: Partial<uPlot.Series>): uPlot.Series => ({
      spanGaps: false,
      points: { show: labels.length === 1, size: 7, fill: colors.accent, stroke: colors.accent },
      ...options,
    });

    const chart = new uPlot(
      {
        ...size(),
        padding: [12, 28, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          // The line stands on a bucket, never between two.
          move: (self, left, top) => [left < 0 ? left : self.valToPos(self.posToIdx(left), 'x'), top],
          drag: { x: labels.length > 1 && !guarded, y: false, setScale: false, dist: 12, click: () => undefined },
          points: {
            size: 8,
            width: 2,
            fill: colors.card,
            stroke: (_, at) => (at === 1 ? colors.before : colors.accent),
          },
        },
        scales: {
          x: { time: false, range: (_, min, max) => (min === max ? [min - 1, max + 1] : [min, max]) },
          y: { range: (_, __, max) => [0, roundTop(max, metric)] },
        },
        axes: [
          {
            stroke: colors.faint,
            font: colors.font,
            size: 30,
            gap: 8,
            grid: { show: false },
            ticks: { show: false },
            splits: () =>
              ticks(labels, interval, element.clientWidth / (narrow() ? TICK_WIDTH.narrow : TICK_WIDTH.wide)),
            values: (_, at) =>
              at.map((index) => format.tick(labels[index] ?? '', interval, labels.length <= HOURS_OF_A_DAY)),
          },
          {
            stroke: colors.faint,
            font: colors.font,
            gap: 6,
            size: (self, values) => {
              self.ctx.font = colors.font;
              const widest = Math.max(0, ...(values ?? []).map((text) => self.ctx.measureText(text).width));
              return Math.max(MIN_AXIS_WIDTH, Math.ceil(widest) + 16);
            },
            grid: { stroke: colors.grid, width: 1 },
            ticks: { show: false },
            splits: (_, __, min, max) =>
              METRICS[metric].format === 'count' && max < 4
                ? whole(max)
                : [0, 1, 2, 3, 4].map((part) => min + ((max - min) * part) / 4),
            values: (_, at) => at.map((value) => format.short(metric, value)),
          },
        ],
        series: [
          {},
          line({ stroke: colors.before, width: 1.5, points: { show: false } }),
          line({
            stroke: colors.accent,
            width: 2,
            fill: (self) => {
              const gradient = self.ctx.createLinearGradient(0, self.bbox.top, 0, self.bbox.top + self.bbox.height);
              gradient.addColorStop(0, colors.fillTop);
              gradient.addColorStop(1, colors.fillBottom);
              return gradient;
            },
          }),
          line({ stroke: colors.accent, width: 2, dash: [4, 4], points: { show: false } }),
        ],
        hooks: {
          draw: [
            (self) => {
              const found = labels.map((_, at) => Math.round(self.valToPos(at, 'x') + self.over.offsetLeft));
              setPlaces((known) => (String(known) === String(found) ? known : found));
            },
          ],
          setCursor: [
            (self) => {
              const index = self.cursor.idx;
              if (index === null || index === undefined || (self.cursor.left ?? -1) < 0) return setHover(null);
              setHover({ index, left: self.valToPos(index, 'x') + self.over.offsetLeft, width: element.clientWidth });
            },
          ],
          setSelect: [
            (self) => {
              if (self.select.width <= 0) return;
              const first = Math.max(0, Math.ceil(self.posToVal(self.select.left, 'x') - 0.5));
              const last = Math.min(
                labels.length - 1,
                Math.floor(self.posToVal(self.select.left + self.select.width, 'x') + 0.5),
              );
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              dragged = true;
              look(labels, first, last, interval, zoom.current);
            },
          ],
        },
      },
      data,
      element,
    );
    plot.current = chart;
    if (single) {
      chart.over.classList.add('graph-closer');
      chart.over.addEventListener('click', (event) => {
        const index = chart.posToIdx(event.offsetX);
        if (!dragged) look(labels, index, index, interval, zoom.current);
        dragged = false;
      });
    }
    const watcher = new ResizeObserver(() => {
      const { width, height } = size();
      if (width > 0 && (width !== chart.width || height !== chart.height)) chart.setSize({ width, height });
    });
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      chart.destroy();
      plot.current = null;
      setHover(null);
    };
  }, [data, metric, interval, format, paint, guarded]);

  const onKeyDown = (event: KeyboardEvent) => {
    const chart = plot.current;
    if (hover && event.key === 'Enter' && single) {
      event.preventDefault();
      return look(series.labels, hover.index, hover.index, interval, onZoom);
    }
    if (event.key === 'Escape') return chart?.setCursor({ left: -10, top: -10 });
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!chart || step === undefined) return;
    event.preventDefault();
    const last = series.labels.length - 1;
    const start = hover?.index ?? (step > 0 ? -1 : last + 1);
    const index = Math.min(last, Math.max(0, start + step));
    chart.setCursor({ left: chart.valToPos(index, 'x'), top: 10 });
  };

  const called = own ?? t(`metric.${metric}`);
  const title = t('graph.title', { metric: called });
  const name = (index: number): string => {
    const label = series.labels[index];
    return label === undefined ? '' : format.bucket(label, interval);
  };
  const written = (value: Value, index: number) => {
    if (value !== null || few === null || isToCome(series, index)) return format.metric(metric, value);
    return t('guard.few');
  };
  const remarks = hover ? (flags.find((flag) => flag.index === hover.index)?.notes ?? []) : [];
  return (
    <figure class="graph-figure">
      <div
        class="graph"
        ref={holder}
        role="group"
        tabIndex={0}
        aria-label={`${title}. ${t(guarded ? 'graph.hint_guarded' : 'graph.hint')}`}
        onKeyDown={onKeyDown}
        onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
      />
      {flags.map((flag) => {
        const left = places[flag.index];
        const text = flag.notes.map((note) => note.text).join('; ');
        return (
          left !== undefined && (
            <div class="flag" key={flag.index} style={{ left: `${left}px` }} data-note={flag.notes[0]?.day}>
              <button type="button" aria-label={`${t('graph.note')}: ${name(flag.index)}: ${text}`}>
                <Icon name="flag" />
              </button>
              <div class="flag-text" data-side={flag.index > series.labels.length / 2 ? 'left' : 'right'} aria-hidden="true">
                {flag.notes.map((note) => (
                  <p key={note.id}>{note.text}</p>
                ))}
              </div>
            </div>
          )
        );
      })}
      {hover && (
        <div class="tooltip" role="status" style={tooltipPlace(hover)}>
          <p class="tooltip-time">
            {name(hover.index)}
            {hover.index === series.current && <i> {t('graph.so_far')}</i>}
          </p>
          <p class="tooltip-line" data-line="now">
            <span>{called}</span>
            <b>{written(series.values[hover.index] ?? null, hover.index)}</b>
          </p>
          {before && hover.index < before.labels.length && (
            <p class="tooltip-line" data-line="before">
              <span>{format.bucket(before.labels[hover.index] ?? '', interval)}</span>
              <b>{few !== null && before.values[hover.index] === null ? t('guard.few') : format.metric(metric, before.values[hover.index] ?? null)}</b>
            </p>
          )}
          {remarks.map((note) => (
            <p class="tooltip-note" key={note.id}>
              <Icon name="flag" />
              {note.text}
            </p>
          ))}
        </div>
      )}
      <div class="visually-hidden">
        <table data-series={metric}>
          <caption>{title}</caption>
          <thead>
            <tr>
              <th scope="col">{t('graph.time')}</th>
              <th scope="col">{t('graph.now')}</th>
              {before && <th scope="col">{t('graph.before')}</th>}
            </tr>
          </thead>
          <tbody>
            {series.labels.map((label, index) => (
              <tr key={index} data-bucket={label} data-value={String(series.values[index] ?? null)}>
                <th scope="row">{format.bucket(label, interval)}</th>
                <td>{written(series.values[index] ?? null, index)}</td>
                {before && (
                  <td>
                    {index < before.values.length ? format.metric(metric, before.values[index] ?? null) : NO_NUMBER}
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}

/** Looks closer at the buckets from `first` to `last`. */
function look(
  labels: readonly string[],
  first: number,
  last: number,
  interval: Interval,
  zoom: (from: string, to: string) => void,
): void {
  const from = labels[first];
  const to = labels[last];
  if (from !== undefined && to !== undefined) zoom(from.slice(0, 10), endOf(to, interval));
}

/** Whether a bucket lies after the one that is still filling. */
function isToCome({ current }: Series, index: number): boolean {
  return current >= 0 && index > current;
}

/** x, the compared period, the complete buckets, and the stretch to the one still filling. */
function columns(series: Series, before: Series | null): uPlot.AlignedData {
  const length = series.labels.length;
  const index = Array.from({ length }, (_, at) => at);
  const { current, values } = series;
  return [
    index,
    index.map((at) => before?.values[at] ?? null),
    index.map((at) => (at === current && length > 1 ? null : (values[at] ?? null))),
    index.map((at) => (current > 0 && (at === current || at === current - 1) ? (values[at] ?? null) : null)),
  ];
}

/** The top of the y axis: four equal steps that read well. */
function roundTop(max: number | null, metric: MetricName): number {
  const highest = Math.max(max ?? 0, 0);
  const { format } = METRICS[metric];
  if (highest === 0) return format === 'count' ? 4 : 1;
  if (format === 'count' && highest <= 4) return 4;
  if (format === 'duration') {
    const step = [5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1800].find((each) => each * 4 >= highest);
    return step === undefined ? Math.ceil(highest / 14_400) * 14_400 : step * 4;
  }
  const power = 10 ** Math.floor(Math.log10(highest / 4));
  const step = [1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10].find((each) => each * power * 4 >= highest) ?? 10;
  const top = step * power * 4;
  return format === 'percent' ? Math.min(top, Math.max(100, highest)) : top;
}

function whole(max: number): number[] {
  return Array.from({ length: Math.floor(max) + 1 }, (_, value) => value);
}

/** Which buckets get a label, so many as fit, evenly apart. */
function ticks(labels: readonly string[], interval: Interval, fit: number): number[] {
  const { length } = labels;
  if (interval === 'hour') {
    const step = [1, 2, 3, 6, 12, 24, 48, 96].find((each) => length / each <= fit) ?? 96;
    return labels.flatMap((label, index) => {
      const hours = Math.floor(index / 24) * 24 + Number(label.slice(11, 13));
      return hours % step === 0 ? [index] : [];
    });
  }
  const step = Math.max(1, Math.ceil(length / Math.max(1, fit)));
  const at: number[] = [];
  for (let index = Math.floor(((length - 1) % step) / 2); index < length; index += step) at.push(index);
  return at;
}

function endOf(label: string, interval: Interval): string {
  if (interval === 'week') return addDays(label, 6);
  if (interval === 'month') return addDays(addMonths(`${label.slice(0, 7)}-01`, 1), -1);
  return label.slice(0, 10);
}

function readColors(element: HTMLElement) {
  const style = getComputedStyle(element);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  return {
    accent: color('--accent'),
    before: color('--before'),
    faint: color('--faint'),
    grid: color('--grid'),
    card: color('--card'),
    fillTop: color('--fill-top'),
    fillBottom: color('--fill-bottom'),
    font: `12px ${style.fontFamily}`,
  };
}

/** Beside the pointer's column, on the side with more room. */
function tooltipPlace({ left, width }: Hover): Record<string, string> {
  return left < width / 2 ? { left: `${left + 14}px` } : { right: `${width - left + 14}px` };
}
