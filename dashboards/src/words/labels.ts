/**
 * How a value of a dimension is shown. Names of browsers, systems, cities and
 * events are shown as given; codes and the API's own words for "nothing" are
 * translated. The value itself (in filters, in `data-row`) stays as it came.
 */
import type { FilterClause } from '../api/types';
import { PROPERTY } from '../model/dimensions';
import { DIMENSIONS } from '../model/panels';
import type { MessageKey } from './en';
import type { Words } from './language';
import { segmentName } from './segments';

export function labelOf(words: Words, dimension: string, value: string): string {
  const id = DIMENSIONS.get(dimension) ?? '';
  if (id === 'segment') return segmentName(value) ?? value;
  if (id === 'mark') return words.find(`mark.${value}`) ?? value;
  switch (value) {
    case 'Direct / None':
      return words.t('value.direct');
    case '(not set)':
    case '(none)':
      return words.t('value.none');
    case '(other)':
      return words.t('value.other');
    case '':
      if (id === 'source' || id === 'channel' || id === 'referrer') return words.t('value.direct');
      return words.t(id.startsWith('utm') ? 'value.none' : 'value.unknown');
  }
  if (id === 'country') return words.format.country(value);
  if (id === 'language') return words.format.language(value);
  if (id === 'channel' || id === 'device' || id === 'consent') return words.find(`${id}.${value.toLowerCase()}`) ?? value;
  if (id === 'screen') return `${value.replace('-', '–')} px`;
  return value;
}

export function dimensionName(words: Words, dimension: string): string {
  if (dimension.startsWith(PROPERTY)) return words.t('dimension.property', { key: dimension.slice(PROPERTY.length) });
  return words.find(`dimension.${DIMENSIONS.get(dimension) ?? ''}`) ?? dimension;
}

/** The parts of a filter's sentence. */
export function filterParts(
  words: Words,
  [operator, dimension, values]: FilterClause,
): readonly [string, string, string] {
  return [
    dimensionName(words, dimension),
    words.t(`filter.${operator}` satisfies MessageKey),
    values.map((value) => labelOf(words, dimension, value)).join(` ${words.t('filter.or')} `),
  ];
}
