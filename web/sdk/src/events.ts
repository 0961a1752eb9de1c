import { connectionError, type Transport } from './http.js';
import { ConnectionError, ProblemError, retryable } from './problem.js';
import { backOff, pause, waitFor } from './retry.js';
import { SSEParser } from './sse.js';
import { eventTypes, type PlatenEvent } from './types.js';

export interface EventStreamOptions {
  onEvent(event: PlatenEvent): void;
  /** A stream stands. `resumed` tells that it continues after the last event; else read the resource again. */
  onOpen?(resumed: boolean): void;
  /** The stream broke; another try follows by itself. */
  onDown?(error: ConnectionError | ProblemError): void;
  /** The service ended the stream in order. Answer true to stop. */
  onEnd?(): boolean;
  /** The events after the last one are no longer kept: read the resource again. Following goes on afterwards. */
  onGone?(): Promise<void> | void;
  /** Trying again is of no use: signed out, deleted, not allowed. The stream is closed. */
  onFailed?(error: unknown): void;
  lastEventID?: string;
  signal?: AbortSignal;
  /** The service sends at least a comment every 15 s; after this silence the stream counts as dead. Milliseconds. */
  silence?: number;
}

/** A stream that stood this long was a good one: the next back-off begins anew. Milliseconds. */
const steady = 5000;

/**
 * An event stream that stays: over fetch, because EventSource cannot send a bearer token, tells no
 * status and, on phones, does not notice that its socket died while the screen was locked.
 */
export class EventStream {
  readonly #transport: Transport;
  readonly #path: string;
  readonly #options: EventStreamOptions;
  readonly #closed = new AbortController();
  readonly #done: Promise<void>;
  #lastID: string | undefined;
  #connection: AbortController | undefined;
  #askedAt = 0;
  #upAt = 0;
  #wakePause: (() => void) | undefined;
  #woken = false;

  constructor(transport: Transport, path: string, options: EventStreamOptions) {
    this.#transport = transport;
    this.#path = path;
    this.#options = options;
    this.#lastID = options.lastEventID;
    options.signal?.addEventListener('abort', () => this.close(), { once: true });
    if (options.signal?.aborted) this.close();
    const stopWaking = onWake(() => this.wake());
    this.#done = this.#run().finally(stopWaking);
  }

  /** Resolves when the stream is closed for good and nothing of it runs any more. */
  get done(): Promise<void> {
    return this.#done;
  }

  close(): void {
    this.#closed.abort();
    this.#connection?.abort();
    this.#wakePause?.();
  }

  /** Drops the connection, which may be dead without anybody having said so, and asks anew at once. */
  wake(): void {
    this.#wakePause?.();
    if (this.#connection && Date.now() - this.#askedAt > 1000) {
      this.#woken = true;
      this.#connection.abort();
    }
  }

  async #run(): Promise<void> {
    for (let attempt = 1; !this.#closed.signal.aborted; attempt++) {
      this.#upAt = Infinity;
      try {
        await this.#connect();
        if (this.#options.onEnd?.()) return;
      } catch (error) {
        if (this.#closed.signal.aborted) return;
        if (error instanceof ProblemError && error.code === 'events-gone') {
          this.#lastID = undefined;
          await this.#options.onGone?.();
          continue;
        }
        if (!retryable(error)) {
          this.#options.onFailed?.(error);
          return;
        }
        if (this.#woken) {
          this.#woken = false;
          attempt = 0;
          continue;
        }
        this.#options.onDown?.(error as ConnectionError | ProblemError);
        if (Date.now() - this.#upAt > steady) attempt = 1;
        await this.#pause(waitFor(error, attempt));
        continue;
      }
      if (Date.now() - this.#upAt > steady) attempt = 1;
      await this.#pause(backOff(attempt));
    }
  }

  async #pause(ms: number): Promise<void> {
    if (this.#closed.signal.aborted) return;
    try {
      await pause(ms, this.#closed.signal, (wake) => (this.#wakePause = wake));
    } catch {
      // Closed meanwhile; the loop sees it.
    }
    this.#wakePause = undefined;
  }

  /** One connection from its request to its orderly end. */
  async #connect(): Promise<void> {
    const connection = new AbortController();
    this.#connection = connection;
    this.#askedAt = Date.now();
    const silence = this.#options.silence ?? 40_000;
    let timer = setTimeout(() => connection.abort(), silence);
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      const resumed = this.#lastID !== undefined;
      if (this.#lastID !== undefined) headers['Last-Event-ID'] = this.#lastID;
      const response = await this.#transport.send('GET', this.#path, { headers, signal: connection.signal, cache: 'no-store' });
      if (!response.body) throw new ConnectionError(new Error('the answer has no body'));
      const parser = new SSEParser((message) => this.#dispatch(message.data, message.id));
      this.#upAt = Date.now();
      this.#options.onOpen?.(resumed);
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => connection.abort(), silence);
        parser.push(value);
      }
    } catch (error) {
      if (error instanceof ProblemError || error instanceof ConnectionError) throw error;
      throw this.#closed.signal.aborted ? error : connectionError(error);
    } finally {
      clearTimeout(timer);
      connection.abort();
      this.#connection = undefined;
    }
  }

  #dispatch(data: string, id: string): void {
    let event: PlatenEvent;
    try {
      event = JSON.parse(data) as PlatenEvent;
    } catch {
      return; // not ours
    }
    if (typeof event !== 'object' || event === null) return;
    if (id || event.id) this.#lastID = id || event.id;
    if (!eventTypes.includes(event.type)) return; // of a later version
    this.#options.onEvent(event);
  }
}

/** Calls back whenever a page may have slept: shown again, restored, back on the network. */
function onWake(callback: () => void): () => void {
  if (typeof document === 'undefined' || typeof addEventListener === 'undefined') return () => {};
  const visible = (): void => {
    if (document.visibilityState === 'visible') callback();
  };
  document.addEventListener('visibilitychange', visible);
  addEventListener('pageshow', callback);
  addEventListener('online', callback);
  return () => {
    document.removeEventListener('visibilitychange', visible);
    removeEventListener('pageshow', callback);
    removeEventListener('online', callback);
  };
}
