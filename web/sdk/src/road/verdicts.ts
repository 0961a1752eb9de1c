import type { RoadKind } from './road.js';

interface Verdict {
  /** The kind that opened last. */
  worked?: RoadKind;
  /** When a kind may be tried again, in milliseconds of this machine's clock. */
  failed: Partial<Record<RoadKind, number>>;
}

const maxVerdicts = 64;

/** Remembers, for as long as the tab is open, which roads open from which network. */
export class Verdicts {
  readonly #store: Storage | undefined;
  readonly #key: string;
  readonly #known = new Map<string, Verdict>();

  constructor(store: Storage | undefined, key: string) {
    this.#store = store;
    this.#key = key;
    try {
      const stored = JSON.parse(store?.getItem(key) ?? '[]') as [string, Verdict][];
      for (const [place, verdict] of stored.slice(0, maxVerdicts)) if (typeof verdict.failed === 'object') this.#known.set(place, verdict);
    } catch {
      // Switched off, or not ours: begin without.
    }
  }

  worked(node: string, network: string, kind: RoadKind): void {
    this.#change(node, network, (verdict) => {
      verdict.worked = kind;
      delete verdict.failed[kind];
    });
  }

  failed(node: string, network: string, kind: RoadKind, until: number): void {
    this.#change(node, network, (verdict) => {
      verdict.failed[kind] = until;
      if (verdict.worked === kind) delete verdict.worked;
    });
  }

  /** The kind that opened last from there. */
  best(node: string, network: string): RoadKind | undefined {
    return this.#known.get(`${node} ${network}`)?.worked;
  }

  /** When the kind may be tried; 0: at once. */
  notBefore(node: string, network: string, kind: RoadKind): number {
    return this.#known.get(`${node} ${network}`)?.failed[kind] ?? 0;
  }

  /** The network has changed: what failed may open now. */
  clear(): void {
    this.#known.clear();
    this.#save();
  }

  #change(node: string, network: string, change: (verdict: Verdict) => void): void {
    const place = `${node} ${network}`;
    const verdict = this.#known.get(place) ?? { failed: {} };
    change(verdict);
    this.#known.delete(place);
    this.#known.set(place, verdict); // the last one is the newest
    const [oldest] = this.#known.keys();
    if (this.#known.size > maxVerdicts && oldest !== undefined) this.#known.delete(oldest);
    this.#save();
  }

  #save(): void {
    try {
      this.#store?.setItem(this.#key, JSON.stringify([...this.#known]));
    } catch {
      // Full: it is remembered until the page is left.
    }
  }
}
