/**
 * Filters of settings and filters of a view. A view (and its address) holds flat
 * clauses; what the API keeps may be nested, and then is used by its id only.
 */
import type { Filters } from '../../api/kept';
import type { FilterClause } from '../../api/types';
import { DIMENSIONS } from '../../model/panels';

const OPERATORS: readonly string[] = ['is', 'is_not', 'contains', 'contains_not'];

/** The clauses, if a view can hold every one of them; else null. */
export function flat(filters: Filters): readonly FilterClause[] | null {
  return filters.every(isFlat) ? (filters as readonly FilterClause[]) : null;
}

export function same(one: Filters, other: Filters): boolean {
  const texts = (filters: Filters): string => JSON.stringify(filters.map((each) => JSON.stringify(each)).sort());
  return texts(one) === texts(other);
}

function isFlat(clause: FilterClause | readonly unknown[]): boolean {
  const [operator, dimension, values] = clause;
  return (
    // A fourth part (case) has no place in the address.
    clause.length === 3 &&
    typeof operator === 'string' &&
    OPERATORS.includes(operator) &&
    typeof dimension === 'string' &&
    DIMENSIONS.has(dimension) &&
    Array.isArray(values) &&
    values.length > 0 &&
    values.every((value) => typeof value === 'string')
  );
}
