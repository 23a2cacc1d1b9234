/** A part of the page that cannot be drawn says so, and leaves the others alone. */
import type { ComponentChildren } from 'preact';
import { useErrorBoundary } from 'preact/hooks';
import { Failure } from './failure';

export function Boundary({ children }: { readonly children: ComponentChildren }) {
  const [error, reset] = useErrorBoundary((failure: unknown) => console.error(failure));
  return error === undefined || error === null ? <>{children}</> : <Failure error={error} retry={reset} />;
}
