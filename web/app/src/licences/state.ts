import type { License, LicenseItem, LicenseKey } from '@platen/sdk';

const day = 86_400_000;
/** For how long pages may wait to be counted before that is worth a word. */
const patience = 5 * 60_000;

/** How things stand between this end and its licence tracking server. */
export function serverState(license: License, now: number): 'own' | 'reached' | 'silent' | 'away' {
  const { server, reached, keys, unreported = 0 } = license;
  if (!server) return 'own';
  if (!reached) return 'silent';
  // A server that nothing is asked of for hours is not away.
  const waits = unreported > 0 && now - Date.parse(reached) > patience;
  return waits || keys.some((k) => k.problem?.code === 'tracking-offline') ? 'away' : 'reached';
}

/** Where a key is in its time: `soon` in its last 30 days. */
export function timeOf(key: LicenseKey, now: number): { at: 'later' | 'good' | 'soon' | 'ended'; days: number } {
  const left = Date.parse(key.expires) - now;
  const days = Math.max(0, Math.floor(left / day));
  if (left <= 0) return { at: 'ended', days: 0 };
  if (Date.parse(key.notBefore) > now) return { at: 'later', days };
  return { at: days < 30 ? 'soon' : 'good', days };
}

/** The key that ends first, of those that are of use. */
export function nextToEnd(keys: readonly LicenseKey[], now: number): LicenseKey | undefined {
  return keys.filter((k) => !k.problem && timeOf(k, now).at !== 'ended').sort((a, b) => Date.parse(a.expires) - Date.parse(b.expires))[0];
}

export interface Share {
  /** Per cent of the quantity, of the bar's whole width at most; `over` says whether it is passed. */
  used: number;
  reserved: number;
  tone: 'ok' | 'warn' | 'bad';
  over: boolean;
}

/** How much of an item is gone; undefined where nothing limits it. */
export function shareOf({ key, used, reserved = 0 }: LicenseItem): Share | undefined {
  const { quantity = 0 } = key;
  if (!counted(key) || quantity <= 0) return undefined;
  const part = Math.min(100, (100 * used) / quantity);
  const tone = used >= quantity ? 'bad' : part >= 80 ? 'warn' : 'ok';
  return { used: part, reserved: Math.min(100 - part, (100 * reserved) / quantity), tone, over: used > quantity };
}

/** Reports whether something of the key is counted and handed out. */
export function counted({ kind }: Pick<LicenseKey, 'kind'>): boolean {
  return kind !== 'server' && kind !== 'trial';
}

/** Reports whether seats are held of the key, by browsers or nodes. */
export function seated({ kind }: Pick<LicenseKey, 'kind'>): boolean {
  return kind === 'browser' || kind === 'concurrent' || kind === 'node';
}

/** First and last day of what is shown at first: the last 30 days, 12 months or 5 years, in UTC. */
export function span(by: 'day' | 'month' | 'year', now: Date): { from: string; to: string } {
  const y = now.getUTCFullYear();
  const m = now.getUTCMonth();
  const from = by === 'day' ? Date.UTC(y, m, now.getUTCDate() - 29) : by === 'month' ? Date.UTC(y, m - 11, 1) : Date.UTC(y - 4, 0, 1);
  return { from: isoDay(from), to: isoDay(now.getTime()) };
}

function isoDay(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}
