import { ConnectionError, problemOf } from './problem.js';
import { path } from './path.js';
import type { RoadOptions } from './road/road.js';
import type { RoadService } from './road/service.js';
import { addressSpace } from './space.js';

export interface ClientOptions {
  /** Where the service is, as `https://scans.example`. Default: where the page came from. */
  base?: string;
  /** Default: the global fetch. */
  fetch?: typeof fetch;
  /** Bearer token of a session made with `bearer: true`. Without it the session cookie counts. */
  token?: string | (() => string | undefined);
  /** Fetch pages from a gateway's nodes directly where that is possible. Default: only by way of the gateway. */
  roads?: RoadOptions | true;
}

export type Query = Record<string, string | number | boolean | undefined>;

export interface RequestOptions {
  query?: Query;
  headers?: Record<string, string>;
  /** Sent as JSON; a Blob as it is, with its type. */
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** `no-store` for streams, so that no half of one is ever kept. */
  cache?: RequestCache;
  /** Sends in place of fetch; the path is as after the base. */
  via?: ((path: string, init: RequestInit) => Promise<Response>) | undefined;
}

/** Speaks HTTP to one service: base address, credentials, JSON, problems. */
export class Transport {
  readonly #base: string;
  readonly #fetch: typeof fetch;
  readonly #token: () => string | undefined;
  readonly #space: string | undefined;
  #clockOffset = 0;

  constructor(options: ClientOptions = {}) {
    this.#base = (options.base ?? '').replace(/\/+$/, '');
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
    const { token } = options;
    this.#token = typeof token === 'function' ? token : () => token;
    // A page that is served over HTTPS may fetch from plain HTTP only if it names the space, and names it right.
    const space = this.#base.startsWith('http:') ? addressSpace(new URL(this.#base).hostname) : 'public';
    this.#space = space === 'public' ? undefined : space;
  }

  /** The service's clock in milliseconds, to within a second, from the Date of its answers. */
  now(): number {
    return Date.now() + this.#clockOffset;
  }

  url(path: string, query: Query = {}): string {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
    const text = search.toString();
    return `${this.#base}/api/v1${path}${text ? `?${text}` : ''}`;
  }

  /** An address as the service gave it, with what comes before the path. */
  absolute(path: string): string {
    return this.#base + path;
  }

  /** Sends a request and answers once the headers came. Throws ProblemError or ConnectionError; an abort stays an AbortError. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const headers: Record<string, string> = { ...options.headers };
    const init: RequestInit = { method, headers, credentials: 'same-origin' };
    const token = this.#token();
    if (token) {
      headers['Authorization'] = `Bearer ${token}`;
      init.credentials = 'omit';
    }
    if (options.body instanceof Blob) {
      headers['Content-Type'] = options.body.type;
      init.body = options.body;
    } else if (options.body !== undefined) {
      headers['Content-Type'] = 'application/json';
      init.body = JSON.stringify(options.body);
    }
    if (options.cache) init.cache = options.cache;
    if (options.signal) init.signal = options.signal;
    let response: Response;
    try {
      const target = this.url(path, options.query).slice(this.#base.length);
      response = await (options.via ?? this.raw)(target, init);
    } catch (error) {
      throw connectionError(error, options.signal);
    }
    const date = Date.parse(response.headers.get('Date') ?? '');
    if (date) this.#clockOffset = Math.abs(date - Date.now()) < 2000 ? 0 : date - Date.now();
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  /** Sends as it is; the path is as after the base. */
  readonly raw = (path: string, init: RequestInit): Promise<Response> => {
    const all: RequestInit & { targetAddressSpace?: string } = { ...init };
    if (this.#space) all.targetAddressSpace = this.#space;
    return this.#fetch(this.#base + path, all);
  };

  /** The service as the roads to its nodes need it. */
  service(): RoadService {
    const here = typeof location === 'undefined' ? undefined : location.origin;
    return {
      relay: this.raw,
      roads: (node, body, signal) => this.json('POST', path`/nodes/${node}/roads`, { body, signal }),
      now: () => this.now(),
      name: this.#base || (here ?? ''),
      own: here !== undefined && (this.#base === '' || new URL(this.#base).origin === here),
    };
  }

  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.send(method, path, { ...options, headers: { Accept: 'application/json', ...options.headers } });
    try {
      return (await response.json()) as T;
    } catch (error) {
      throw connectionError(error, options.signal);
    }
  }

  async empty(method: string, path: string, options: RequestOptions = {}): Promise<void> {
    const response = await this.send(method, path, options);
    await response.body?.cancel();
  }
}

/** An abort by the caller stays what it is; everything else is a lost connection. */
export function connectionError(error: unknown, signal?: AbortSignal | null): unknown {
  if (signal?.aborted) return signal.reason ?? error;
  return new ConnectionError(error);
}
