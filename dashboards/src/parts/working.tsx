/** A line under the header while the server counts, and words when that takes long. */
import { useEffect, useState } from 'preact/hooks';
import { watchWork } from '../api/work';
import { useWords } from '../words/language';

/** Work is said to be long from here on, in milliseconds. */
const LONG_MS = 1_000;
/** From here on there is advice beside it, in milliseconds. */
const VERY_LONG_MS = 8_000;
const TICK_MS = 500;

export function Working() {
  const { t, format } = useWords();
  const [since, setSince] = useState<number | null>(null);
  const [now, setNow] = useState(0);

  useEffect(() => watchWork(setSince), []);
  useEffect(() => {
    if (since === null) return;
    const look = () => setNow(Date.now());
    look();
    const timer = setInterval(look, TICK_MS);
    return () => clearInterval(timer);
  }, [since]);

  const passed = since === null ? 0 : Math.max(0, now - since);
  const long = passed >= LONG_MS;
  const seconds = Math.floor(passed / 1000);
  return (
    <div class="working" data-working={since === null ? 'no' : long ? 'long' : 'yes'}>
      <div class="working-line" aria-hidden="true" />
      {/* The words are said once; the seconds are for the eye. */}
      <p role="status" class="working-text">
        {long && t(passed >= VERY_LONG_MS ? 'working.very_long' : 'working.long')}
        {long && <span aria-hidden="true"> {t('duration.seconds', { s: format.number(seconds) })}</span>}
      </p>
    </div>
  );
}
