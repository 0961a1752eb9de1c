/** What a pairing link carries in its fragment. */
export function linkOf(hash: string): { secret: string; ca: string | undefined } | undefined {
  const parameters = new URLSearchParams(hash);
  const secret = parameters.get('pair');
  return secret ? { secret, ca: parameters.get('ca') ?? undefined } : undefined;
}

/** Where the user is now, without a pairing secret: where signing in leads back to. */
export function here(): string {
  const { pathname, search, hash } = location;
  if (pathname === '/pair') return '/';
  return pathname + search + (linkOf(hash.slice(1)) ? '' : hash);
}
