/**
 * The names of segments by their ids, so that a filter by a segment can be said.
 * Filled by whoever loads the settings of the site; ids are of one site at a time.
 */
const names = new Map<string, string>();

export function nameSegments(segments: readonly { readonly id: string; readonly name: string }[]): void {
  names.clear();
  for (const { id, name } of segments) names.set(id, name);
}

export function segmentName(id: string): string | undefined {
  return names.get(id);
}
