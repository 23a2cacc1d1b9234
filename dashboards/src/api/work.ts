/** How long the server has been counting for this page; what takes long says so. */

type Listener = (since: number | null) => void;

const under = new Map<number, number>();
const listeners = new Set<Listener>();
let last = 0;

/** A request begins; the returned function says that it ended. */
export function working(): () => void {
  const id = (last += 1);
  under.set(id, Date.now());
  tell();
  return () => {
    under.delete(id);
    tell();
  };
}

/** Calls `listener` with the beginning of the oldest request under way, or null, now and on each change. */
export function watchWork(listener: Listener): () => void {
  listeners.add(listener);
  listener(oldest());
  return () => listeners.delete(listener);
}

function tell(): void {
  const since = oldest();
  for (const listener of listeners) listener(since);
}

function oldest(): number | null {
  return under.size === 0 ? null : Math.min(...under.values());
}
