// Waiting for conditions, never for time.

/** Far above what a slow machine needs, so that only a fault reaches it. */
const PATIENCE = 120_000;
const STEP = 25;

/** Waits until `condition` gives something true, and returns that; else says what it waited for. */
export async function until(what, condition, patience = PATIENCE) {
  const end = Date.now() + patience;
  let last;
  for (;;) {
    try {
      const found = await condition();
      if (found) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited ${patience} ms in vain for ${what}`, { cause: last });
    await new Promise(resolve => setTimeout(resolve, STEP));
  }
}
