/** A part of the page that loads on its own: waiting, failed, empty, or there. */
import type { ComponentChildren } from 'preact';
import { Failure } from '../../parts/failure';
import { useOffice } from '../words';
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
  const { state, answer } = load;
  const nothing = state === 'ready' && empty !== undefined && (answer === null || isEmpty?.(answer) === true);
  return (
    <div class="region" data-region={name} data-state={nothing ? 'empty' : state} aria-busy={state === 'loading'}>
      {state === 'loading' && (
        <div class="region-wait" role="status">
          <span class="visually-hidden">{t('app.loading')}</span>
          <span class="bone" />
          <span class="bone" />
          <span class="bone" />
        </div>
      )}
      {state === 'failed' && <Failure error={load.error} retry={load.again} />}
      {nothing && <p class="region-empty">{empty}</p>}
      {state === 'ready' && !nothing && answer !== null && children(answer)}
    </div>
  );
}
