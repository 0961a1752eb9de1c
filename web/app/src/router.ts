import { createStore, useStore } from './store/store.js';

export interface Route {
  path: string;
  query: URLSearchParams;
  /** Without the #. Names the open sheet. */
  hash: string;
}

function here(): Route {
  return { path: location.pathname, query: new URLSearchParams(location.search), hash: location.hash.slice(1) };
}

const route = createStore<Route>(here());
addEventListener('popstate', () => route.set(here()));

export function useRoute(): Route {
  return useStore(route);
}

export function currentPath(): string {
  return route.get().path;
}

export interface NavigateOptions {
  replace?: boolean;
  /** The new entry is a sheet over the present screen: closing it goes back. */
  sheet?: boolean;
}

export function navigate(to: string, options: NavigateOptions = {}): void {
  const before = location.pathname;
  // A screen that is opened out of a sheet takes the sheet's place, so that Back does not open the sheet again.
  const replace = options.replace ?? (isSheet() && !options.sheet);
  history[replace ? 'replaceState' : 'pushState']({ sheet: options.sheet ?? false, inside: true }, '', to);
  route.set(here());
  if (location.pathname !== before) scrollTo(0, 0);
}

function isSheet(): boolean {
  return (history.state as { sheet?: boolean } | null)?.sheet === true;
}

/** Goes back inside the app, or to where one would have come from. */
export function back(to: string): void {
  if ((history.state as { inside?: boolean } | null)?.inside) history.back();
  else navigate(to, { replace: true });
}

/** A sheet is part of the address, so the phone's Back closes it and a reload keeps it. */
export function useSheet(name: string): { open: boolean; show(): void; hide(): void } {
  const { hash } = useRoute();
  return {
    open: hash === name,
    show: () => {
      if (location.hash.slice(1) !== name) navigate(`${location.pathname}${location.search}#${name}`, { sheet: true });
    },
    hide: () => {
      if (location.hash.slice(1) !== name) return;
      if (isSheet()) history.back();
      else navigate(`${location.pathname}${location.search}`, { replace: true });
    },
  };
}

/** The parts of a path that match a pattern as `/jobs/:`, or null. */
export function match(path: string, pattern: string): string[] | null {
  const want = pattern.split('/');
  const got = path.replace(/\/+$/, '').split('/');
  if (want.length !== got.length) return null;
  const parts: string[] = [];
  for (let i = 0; i < want.length; i++) {
    if (want[i] === ':') parts.push(decodeURIComponent(got[i]!));
    else if (want[i] !== got[i]) return null;
  }
  return parts;
}
