import type { Transport } from './http.js';
import { path } from './path.js';
import type { Roads } from './road/roads.js';
import type { RoadOptions, RoadState } from './road/road.js';

const maxKnown = 4096;

/**
 * How the pages of a gateway's nodes come to this page: by way of the gateway, and directly where a road opens. The code for roads is
 * loaded with the first page; until then, and whenever no road is open, everything goes by way of the gateway.
 */
export class PageRoads {
  readonly #transport: Transport;
  readonly #options: RoadOptions;
  readonly #listeners = new Set<(node: string, state: RoadState) => void>();
  /** Whose a job or document is; `undefined` while it is found out. */
  readonly #nodes = new Map<string, string | undefined>();
  #roads: Roads | undefined;
  #loading: Promise<Roads | undefined> | undefined;
  #asked = false;
  #closed = false;

  constructor(transport: Transport, options: RoadOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  /** How things stand with a node. */
  state(node: string): RoadState {
    return this.#roads?.state(node) ?? { road: 'relay', direct: 'idle', since: 0 };
  }

  /** Calls when a node's state has changed. Answers what ends that. */
  onChange(listener: (node: string, state: RoadState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** For `permission-needed`: say why, then call this from a click. The browser asks its user, and a direct road opens if it may. */
  ask(): void {
    this.#asked = true;
    this.#roads?.ask();
  }

  /** Opens a road before the first page is fetched, as when a job starts. */
  prepare(node: string): void {
    void this.#load().then((roads) => roads?.prepare(node));
  }

  /** Closes all roads. Pages go on by way of the gateway. */
  close(): void {
    this.#closed = true;
    this.#roads?.close();
    this.#roads = undefined;
  }

  /** Notes whose the jobs and documents of an answer are. */
  learn(answer: unknown): void {
    const { id, node, items } = (answer ?? {}) as { id?: unknown; node?: unknown; items?: unknown };
    if (Array.isArray(items)) for (const item of items) this.learn(item);
    if (typeof id !== 'string' || typeof node !== 'string') return;
    this.#nodes.delete(id);
    this.#nodes.set(id, node);
    const [oldest] = this.#nodes.keys();
    if (this.#nodes.size > maxKnown && oldest !== undefined) this.#nodes.delete(oldest);
  }

  /** What fetches the pages of a job or document; undefined as long as only the gateway does. */
  via(kind: 'jobs' | 'documents', id: string): ((path: string, init: RequestInit) => Promise<Response>) | undefined {
    const node = this.#nodes.get(id);
    if (node === undefined) {
      this.#find(kind, id);
      return undefined;
    }
    const roads = this.#roads;
    if (roads) return (p, init) => roads.fetch(node, p, init);
    this.prepare(node);
    return undefined;
  }

  #find(kind: 'jobs' | 'documents', id: string): void {
    if (this.#nodes.has(id) || this.#closed) return;
    this.#nodes.set(id, undefined);
    this.#transport.json<{ node: string }>('GET', path`/${kind}/${id}`).then(
      (found) => {
        this.learn(found);
        this.prepare(found.node);
      },
      () => this.#nodes.delete(id),
    );
  }

  #load(): Promise<Roads | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    this.#loading ??= import('./road/roads.js').then(
      ({ Roads }) => {
        if (this.#closed) return undefined;
        const roads = new Roads(this.#transport.service(), this.#options);
        roads.onChange((node, state) => {
          for (const listener of this.#listeners) listener(node, state);
        });
        if (this.#asked) roads.ask();
        return (this.#roads = roads);
      },
      () => (this.#loading = undefined), // another try with the next page
    );
    return this.#loading;
  }
}
