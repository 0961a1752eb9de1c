/** How near a host is to this machine, in the words of Local Network Access. */
export type AddressSpace = 'loopback' | 'local' | 'public';

/** Judges by what the host says of itself; what a name resolves to is the browser's to know, so a name is `public`. */
export function addressSpace(hostname: string): AddressSpace {
  const host = hostname.toLowerCase().replace(/^\[|\]$/g, '').replace(/\.$/, '');
  if (host === 'localhost' || host.endsWith('.localhost') || host === '::1' || /^127(\.\d+){3}$/.test(host)) return 'loopback';
  if (host.endsWith('.local') || /^f(e[89ab]|[cd])[0-9a-f]*:/.test(host)) return 'local';
  const [a, b] = /^(\d+)\.(\d+)\.\d+\.\d+$/.exec(host)?.slice(1).map(Number) ?? [];
  if (a === 10 || (a === 172 && b! >= 16 && b! < 32) || (a === 192 && b === 168) || (a === 169 && b === 254) || (a === 100 && b! >= 64 && b! < 128)) return 'local';
  return 'public';
}

const order: AddressSpace[] = ['loopback', 'local', 'public'];

/** Reports whether a browser may ask its user before a page of one space reaches the other. */
export function nearer(target: AddressSpace, page: AddressSpace): boolean {
  return order.indexOf(target) < order.indexOf(page);
}
