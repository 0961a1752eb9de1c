import { tab } from '../store/memory.js';

/** Whoever scanned the code at a scanner stands there for about as long as this. Milliseconds. */
const life = 120_000;

interface Presence {
  scanner: string;
  presence: string;
  at: number;
}

const kept = 'presence';

/** What the address of a sticker's code carries in its fragment. */
export function presenceIn(hash: string): string | undefined {
  return new URLSearchParams(hash).get('at') ?? undefined;
}

export function rememberPresence(scanner: string, presence: string, now = Date.now()): void {
  tab.write(kept, { scanner, presence, at: now } satisfies Presence);
}

/** The presence at this scanner, while the user is likely to stand there still. */
export function presenceAt(scanner: string, now = Date.now()): string | undefined {
  const p = tab.read<Presence>(kept);
  return p?.scanner === scanner && now >= p.at && now - p.at < life ? p.presence : undefined;
}
