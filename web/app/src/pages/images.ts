import { platen } from '../api.js';
import { session } from '../store/session.js';

/** An image of a page; without a width, as it is stored. */
export interface PageRef {
  job: string;
  n: number;
  width?: number;
}

/** An image that this page's code fetches. Whoever borrowed it gives it back, once. */
export interface Fetched {
  /** Its blob's address. */
  src: Promise<string>;
  giveBack(): void;
}

interface Entry {
  src: Promise<string>;
  url: string | undefined;
  size: number;
  users: number;
  stop: AbortController;
}

const budget = 64 << 20; // bytes of images that are shown nowhere
const abreast = 6; // fetches at a time

/** The one used longest ago first. */
const entries = new Map<string, Entry>();
const queue: (() => void)[] = [];
let running = 0;

/** The image of a page, fetched once for all who show it, and kept for a while when nobody does. */
export function borrow(key: string, page: PageRef): Fetched {
  const entry = entries.get(key) ?? fetchImage(key, page);
  entries.delete(key);
  entries.set(key, entry);
  entry.users++;
  let given = false;
  return {
    src: entry.src,
    giveBack() {
      if (given) return;
      given = true;
      if (--entry.users > 0) return;
      if (entry.url === undefined) forget(key, entry);
      else tidy();
    },
  };
}

function fetchImage(key: string, page: PageRef): Entry {
  const stop = new AbortController();
  const entry: Entry = { src: Promise.resolve(''), url: undefined, size: 0, users: 0, stop };
  entry.src = turn(stop.signal)
    .then(() => platen.pageImage(page.job, page.n, { ...(page.width ? { width: page.width } : {}), signal: stop.signal }).finally(next))
    .then((blob) => {
      if (entries.get(key) !== entry) throw new DOMException('nobody wants it', 'AbortError');
      entry.size = blob.size;
      return (entry.url = URL.createObjectURL(blob));
    });
  entry.src.catch(() => forget(key, entry)); // asking again fetches again
  return entry;
}

/** Waits until it is this one's turn to fetch. */
function turn(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const start = (): void => {
      if (signal.aborted) return reject(signal.reason as Error);
      running++;
      resolve();
    };
    if (running < abreast) start();
    else {
      queue.push(start);
      signal.addEventListener('abort', () => {
        const at = queue.indexOf(start);
        if (at < 0) return;
        queue.splice(at, 1);
        reject(signal.reason as Error);
      }, { once: true });
    }
  });
}

function next(): void {
  running--;
  queue.shift()?.();
}

function forget(key: string, entry: Entry): void {
  if (entries.get(key) === entry) entries.delete(key);
  entry.stop.abort();
  if (entry.url !== undefined) URL.revokeObjectURL(entry.url);
}

function tidy(limit = budget): void {
  const unused = [...entries].filter(([, e]) => e.users === 0 && e.url !== undefined);
  let held = unused.reduce((sum, [, e]) => sum + e.size, 0);
  for (const [key, entry] of unused) {
    if (held <= limit) return;
    held -= entry.size;
    forget(key, entry);
  }
}

// Who signs out leaves no page behind.
session.subscribe(() => {
  if (session.get().state === 'out') tidy(-1);
});
