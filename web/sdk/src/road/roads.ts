import { NodeRoads, type Shared } from './node.js';
import { roadTimes, type RoadOptions, type RoadState } from './road.js';
import { browserMeans, type Means, type RoadService } from './service.js';
import { Verdicts } from './verdicts.js';

const maxNodes = 256;

/** The roads to the nodes of one service. Nothing of it throws at who fetches: what fails on a road is done by way of the service. */
export class Roads {
  readonly #shared: Shared;
  readonly #nodes = new Map<string, NodeRoads>();
  readonly #listeners = new Set<(node: string, state: RoadState) => void>();
  readonly #unwatch: () => void;

  constructor(service: RoadService, options: RoadOptions = {}, means: Means = browserMeans()) {
    this.#shared = {
      service,
      means,
      verdicts: new Verdicts(means.store, `platen.roads ${service.name}`),
      times: { ...roadTimes, ...options.times },
      kinds: options.kinds ?? ['webtransport', 'webrtc'],
      asked: 0,
      changed: (node, state) => {
        for (const listener of this.#listeners) listener(node, state);
      },
    };
    this.#unwatch = means.watch((network) => this.wake(network));
  }

  /** As fetch; `path` begins with `/api/v1`. What changes something goes by way of the service. */
  fetch(node: string, path: string, init: RequestInit = {}): Promise<Response> {
    if ((init.method ?? 'GET') !== 'GET') return this.#shared.service.relay(path, init);
    return this.#of(node).fetch(path, init);
  }

  /** Opens a road before anything is fetched. */
  prepare(node: string): void {
    this.#of(node).prepare();
  }

  state(node: string): RoadState {
    return this.#nodes.get(node)?.state ?? { road: 'relay', direct: 'idle', since: 0 };
  }

  /** Calls when the state of a node has changed. Answers what ends that. */
  onChange(listener: (node: string, state: RoadState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** To be called from a click: the browser may ask its user about local addresses now. */
  ask(): void {
    this.#shared.asked = Date.now() + this.#shared.times.question;
    for (const node of this.#nodes.values()) node.ask();
  }

  /** Checks all roads at once; with `network`, what was learned of the network is void. The page's own events do this, too. */
  wake(network = false): void {
    if (network) this.#shared.verdicts.clear();
    for (const node of this.#nodes.values()) void node.wake(network);
  }

  close(): void {
    this.#unwatch();
    for (const node of this.#nodes.values()) node.close();
    this.#nodes.clear();
  }

  #of(id: string): NodeRoads {
    let node = this.#nodes.get(id);
    if (node) return node;
    const [oldest] = this.#nodes;
    if (oldest && this.#nodes.size >= maxNodes) {
      oldest[1].close();
      this.#nodes.delete(oldest[0]);
    }
    node = new NodeRoads(id, this.#shared);
    this.#nodes.set(id, node);
    return node;
  }
}
