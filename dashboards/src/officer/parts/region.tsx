/**
 * A part of the page that loads on its own: waiting, failed, empty, or there. An answer
 * that is kept while the next one is waited for is shown dimmed.
 */
import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import { Failure } from '../../parts/failure';
import { useOffice } from '../words';
import { headingOf, useKeptFocus } from './focus';
import type { Loaded } from './load';

interface Props<T> {
  readonly name: string;
  readonly load: Loaded<T>;
  /** What is said when there is nothing. */
  readonly empty?: string;
  readonly isEmpty?: (answer: T) => boolean;
  readonly children: (answer: T) => ComponentChildren;
}

export function Region<T>({ name, load, empty, isEmpty, children }: Props<T>) {
  const { t } = useOffice();
  const region = useRef<HTMLDivElement>(null);
  useKeptFocus(region, headingOf);
  const { state, answer } = load;
  const waits = state === 'loading';
  const bare = waits && answer === null;
  const nothing = !bare && state !== 'failed' && empty !== undefined && (answer === null || isEmpty?.(answer) === true);
  return (
    <div
      class="region"
      ref={region}
      data-region={name}
      data-state={nothing && !waits ? 'empty' : state}
      aria-busy={waits}
    >
      <p class="visually-hidden" role="status">
        {waits && t('app.loading')}
      </p>
      {bare && (
        <div class="region-wait">
          <span class="bone" />
          <span class="bone" />
          <span class="bone" />
        </div>
      )}
      {state === 'failed' && <Failure error={load.error} retry={load.again} />}
      {nothing && <p class="region-empty">{empty}</p>}
      {state !== 'failed' && !nothing && answer !== null && children(answer)}
    </div>
  );
}
