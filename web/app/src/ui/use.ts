import { useEffect, useRef, useState } from 'preact/hooks';

export interface Loaded<T> {
  value: T | undefined;
  error: unknown;
  reload: () => void;
  set: (value: T) => void;
}

/** Loads something when the keys change. What was there stays until its successor is; an older answer never wins. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, keys: unknown[]): Loaded<T> {
  const [state, setState] = useState<{ value: T | undefined; error: unknown }>({ value: undefined, error: undefined });
  const [round, setRound] = useState(0);
  const first = useRef(keys[0]);
  useEffect(() => {
    const stop = new AbortController();
    if (first.current !== keys[0]) {
      first.current = keys[0];
      setState({ value: undefined, error: undefined });
    }
    load(stop.signal).then(
      (value) => !stop.signal.aborted && setState({ value, error: undefined }),
      (error: unknown) => !stop.signal.aborted && setState((s) => ({ value: s.value, error })),
    );
    return () => stop.abort();
  }, [...keys, round]);
  return {
    ...state,
    reload: () => setRound((n) => n + 1),
    set: (value) => setState({ value, error: undefined }),
  };
}

/** Follows a media query. */
export function useMedia(query: string): boolean {
  const [matches, set] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const look = (): void => set(list.matches);
    look();
    list.addEventListener('change', look);
    return () => list.removeEventListener('change', look);
  }, [query]);
  return matches;
}

export const wide = '(min-width: 1024px)';
