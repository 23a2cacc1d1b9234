/** Where in a page one is, as the part of the address behind `#` says it; told anew when it changes. */
import { useEffect, useState } from 'preact/hooks';

/** `read` makes a place of the address: the page knows what may stand there. */
export function usePlace<Place>(read: (hash: string) => Place): Place {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const moved = () => setHash(location.hash);
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  return read(hash);
}
