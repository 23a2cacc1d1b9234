/**
 * The panels beyond the main ones, loaded and asked when one scrolls near them:
 * who only looks at the headline pays nothing for them.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Failure } from '../parts/failure';
import { useLate } from '../parts/late';
import type { BeyondProps } from './index';

/** How far below the screen they are made ready. */
const AHEAD = '500px';

export function BeyondDoor(props: BeyondProps) {
  const place = useRef<HTMLDivElement>(null);
  const [near, setNear] = useState(false);
  const { part, error, retry } = useLate(() => import('./index'), near);

  useEffect(() => {
    if (near || !place.current) return;
    const come = () => setNear(true);
    const watch = new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && come(), {
      rootMargin: AHEAD,
    });
    watch.observe(place.current);
    addEventListener('beforeprint', come);
    return () => {
      watch.disconnect();
      removeEventListener('beforeprint', come);
    };
  }, [near]);

  if (part) return <part.Beyond {...props} />;
  return (
    <div ref={place} data-beyond-door>
      {error !== null && (
        <section class="card">
          <Failure error={error} retry={retry} />
        </section>
      )}
    </div>
  );
}
