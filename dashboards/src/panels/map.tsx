/**
 * The countries on a map of the world: the darker, the more. Loaded when it is
 * looked at. The map is for the eye and the pointer; the rows under it, and the
 * tab of countries beside it, say the same to everybody.
 */
import { useState } from 'preact/hooks';
import type { Row } from '../api/types';
import { Failure } from '../parts/failure';
import { useLate } from '../parts/late';
import { labelOf } from '../words/labels';
import { useWords } from '../words/language';

/** The part of the drawing that is shown: the empty Pacific at its edges is not. */
const CROP = { left: 215, right: 75 };
/** Shades of a country, from few to many. */
const SHADES = 5;

interface Props {
  readonly rows: readonly Row[];
  readonly isChosen: (country: string) => boolean;
  readonly onToggle: (country: string) => void;
  /** What the map is of, and a number of it in words; of visitors if nothing is said. */
  readonly title?: string;
  readonly counted?: (value: number) => string;
}

export function WorldMap({ rows, isChosen, onToggle, title, counted }: Props) {
  const words = useWords();
  const { t, format } = words;
  const { part, error, retry } = useLate(() => import('virtual:world'));
  const [over, setOver] = useState('');
  if (error !== null) return <Failure error={error} retry={retry} />;
  if (!part) return <div class="map bone" role="status" aria-label={t('app.loading')} />;

  const { width, height, countries } = part.default;
  const found = new Map(rows.map((row) => [row.dimensions[0] ?? '', row.metrics[0] ?? null]));
  const most = Math.max(1, ...[...found.values()].map((value) => value ?? 0));
  const pointed = found.get(over);
  return (
    <div class="map" data-map>
      <svg
        viewBox={`${CROP.left} 0 ${width - CROP.left - CROP.right} ${height}`}
        role="img"
        aria-label={title ?? t('map.title')}
        onPointerLeave={() => setOver('')}
      >
        {countries.map(([code, shape], index) => {
          const value = found.get(code) ?? null;
          const known = code !== '' && found.has(code);
          return (
            <path
              key={index}
              d={shape}
              data-country={code}
              data-shade={known ? shadeOf(value ?? 0, most) : 0}
              data-chosen={known && isChosen(code)}
              onPointerEnter={() => setOver(code)}
              onClick={known ? () => onToggle(code) : undefined}
            />
          );
        })}
      </svg>
      <p class="map-caption" aria-hidden="true">
        {over === '' ? (
          <span>{t('map.hint')}</span>
        ) : (
          <>
            <b>{labelOf(words, 'visit:country', over)}</b>{' '}
            {pointed === undefined
              ? t('map.nobody')
              : (pointed !== null && counted?.(pointed)) ||
                t('map.visitors', { count: pointed ?? 0, number: pointed === null ? t('guard.few') : format.number(pointed) })}
          </>
        )}
      </p>
    </div>
  );
}

/** By the root of the share: where one country has nearly all, the others are told apart all the same. */
export function shadeOf(value: number, most: number): number {
  return value <= 0 || most <= 0 ? 0 : Math.max(1, Math.ceil(Math.sqrt(value / most) * SHADES));
}
