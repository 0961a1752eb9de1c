import type { Setup } from '@platen/sdk';

/** What people type where a scanner is added by hand. `only` is the one address at which other devices are let in; empty: all. */
export function eSCLAddress(interfaces: Setup['interfaces'], only: string, port: number): string {
  const addresses = interfaces.flatMap((i) => i.addresses);
  const at = only || (addresses.find((a) => !a.includes(':')) ?? addresses[0] ?? 'localhost');
  return `http://${at.includes(':') ? `[${at}]` : at}:${port}/eSCL`;
}
