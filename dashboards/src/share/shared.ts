/** The shared link that the page was opened under, if it was. */
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';

const ADDRESS = /^\/share\/([A-Za-z0-9_-]{8,200})\/?$/;

/** The secret in an address; empty if it is not one of a shared link. */
export function linkSecret(pathname: string): string {
  return ADDRESS.exec(pathname)?.[1] ?? '';
}

export function isShareAddress(pathname: string): boolean {
  return pathname === '/share' || pathname.startsWith('/share/');
}

export const SharedContext = createContext(false);

/** Whether the page is looked at by somebody with a link and no account. */
export function useShared(): boolean {
  return useContext(SharedContext);
}
