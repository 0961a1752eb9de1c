import { describe, expect, it, vi } from 'vitest';
import { openWebTransport } from '../src/road/webtransport.js';
import { deferred } from './server.js';

/** A browser's session, driven by the test. */
class Session {
  readonly #ready = deferred();
  readonly #closed = deferred();
  readonly fails: (error: unknown) => void;
  readonly ready: Promise<void>;
  readonly closed: Promise<void>;
  readonly said: string[] = [];
  readonly datagrams = { writable: new WritableStream({ write: () => this.#leaves('datagram') }) };
  leaves = true;
  over = false;

  constructor(readonly url: string, readonly options: WebTransportOptions) {
    let fails!: (error: unknown) => void;
    this.ready = new Promise((resolve, reject) => {
      void this.#ready.promise.then(resolve);
      fails = reject;
    });
    this.fails = fails;
    this.closed = this.#closed.promise;
  }
  stand(): void {
    this.#ready.resolve();
  }
  close(): void {
    this.over = true;
    this.fails(new Error('closed'));
    this.#closed.resolve();
  }
  async #leaves(what: string): Promise<void> {
    this.said.push(what);
    if (this.leaves) return;
    this.close();
    throw new Error('it cannot leave');
  }
  async createBidirectionalStream(): Promise<unknown> {
    await this.#leaves('stream');
    return new Promise(() => {});
  }
}

const hashes = [new Uint8Array(32), new Uint8Array(32).fill(1)];

function start(addresses: string[], refuse: (url: string) => boolean = () => false): { sessions: Session[]; abort: AbortController; road: ReturnType<typeof openWebTransport> } {
  const sessions: Session[] = [];
  const abort = new AbortController();
  const make = (url: string, options: WebTransportOptions): WebTransport => {
    if (refuse(url)) throw new SyntaxError('no such address');
    const session = new Session(url, options);
    sessions.push(session);
    return session as unknown as WebTransport;
  };
  const road = openWebTransport(addresses, hashes, abort.signal, make);
  road.catch(() => {});
  return { sessions, abort, road };
}

describe('openWebTransport', () => {
  it('pins all hashes and takes the first address that stands', async () => {
    vi.useFakeTimers();
    try {
      const { sessions, road } = start(['https://a/road', 'https://b/road', 'https://c/road']);
      expect(sessions.map(({ url }) => url)).toEqual(['https://a/road']);
      expect(sessions[0]!.options).toEqual({ serverCertificateHashes: hashes.map((value) => ({ algorithm: 'sha-256', value })) });
      await vi.advanceTimersByTimeAsync(100);
      expect(sessions).toHaveLength(2);
      sessions[1]!.stand();
      const open = await road;
      await vi.advanceTimersByTimeAsync(1000);
      expect(sessions.map(({ over }) => over)).toEqual([true, false]);
      const waiting = open.open();
      sessions[1]!.close();
      await open.closed;
      await expect(waiting).rejects.toThrow('closed');
      await expect(open.open()).rejects.toThrow('closed');
    } finally {
      vi.useRealTimers();
    }
  });

  it('goes to the next address at once when one fails, or is refused by the browser', async () => {
    const { sessions, road } = start(['https://a/road', 'https://b/road', 'https://c/road'], (url) => url.startsWith('https://a/'));
    expect(sessions.map(({ url }) => url)).toEqual(['https://b/road']);
    sessions[0]!.fails(new Error('lost'));
    await vi.waitFor(() => expect(sessions).toHaveLength(2));
    sessions[1]!.stand();
    expect((await road).kind).toBe('webtransport');
  });

  it('fails when all addresses have, and when there are none', async () => {
    const { sessions, road } = start(['https://a/road', 'https://b/road']);
    sessions[0]!.fails(new Error('lost'));
    await vi.waitFor(() => expect(sessions).toHaveLength(2));
    sessions[1]!.fails(new Error('lost, too'));
    await expect(road).rejects.toThrow('lost, too');
    await expect(start([]).road).rejects.toThrow();
    await expect(start(['https://a/'], () => true).road).rejects.toThrow('no such address');
  });

  it('sends a datagram ahead of each stream, and opens none when that cannot leave', async () => {
    const { sessions, road } = start(['https://a/road']);
    const [session] = sessions;
    session!.stand();
    const open = await road;
    void open.open().catch(() => {});
    await vi.waitFor(() => expect(session!.said).toEqual(['datagram', 'stream']));
    session!.leaves = false;
    await expect(open.open()).rejects.toThrow('closed');
    expect(session!.said).toEqual(['datagram', 'stream', 'datagram']);
  });

  it('closes everything at an abort', async () => {
    const { sessions, abort, road } = start(['https://a/road', 'https://b/road']);
    abort.abort(new Error('enough'));
    await expect(road).rejects.toThrow('enough');
    expect(sessions.every(({ over }) => over)).toBe(true);
  });
});
