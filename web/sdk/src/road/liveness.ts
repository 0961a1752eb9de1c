import { pause } from '../retry.js';
import type { Lane } from './lane.js';

const nudges = 4; // in one silence

/** A lane is silent while another one is not. */
export class StalledError extends Error {
  override readonly name = 'StalledError';
}

/** Tells a lane that is dead from a network that is away, and from a node that has nothing to send yet. */
export class Liveness {
  readonly #stall: number;
  readonly #beside: (lane: Lane) => Lane | undefined;
  readonly #checks = new Map<Lane, Promise<boolean>>();

  /** `stall` as in RoadTimes; `beside` is the other lane, if there is one. */
  constructor(stall: number, beside: (lane: Lane) => Lane | undefined) {
    this.#stall = stall;
    this.#beside = beside;
  }

  /**
   * Waits, and asks for something small when nothing comes: who sends tries ever more rarely while the network is away. That it is
   * back he hears by what we send, which says again what came last.
   */
  async watch<T>(lane: Lane, pending: Promise<T>): Promise<T> {
    const { meter } = lane;
    const { patience } = meter;
    const begun = performance.now();
    let left = nudges;
    const nudge = (): void => {
      if (meter.heard > begun) left = 0; // it is not the network that is silent
      if (left-- > 0 && performance.now() - meter.nudged > patience / 2) this.#nudge(lane); // others wait, too
    };
    const nudging = setInterval(nudge, patience);
    return this.#unlessStalled(lane, pending).finally(() => clearInterval(nudging));
  }

  #nudge(lane: Lane): void {
    lane.meter.nudged = performance.now();
    void lane.alive().then((alive) => alive && lane.meter.alive());
  }

  async #unlessStalled<T>(lane: Lane, pending: Promise<T>): Promise<T> {
    const came = pending.then((value) => ({ value }));
    for (let wait = this.#stall; ; ) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const quiet = new Promise<void>((resolve) => (timer = setTimeout(resolve, wait)));
      const found = await Promise.race([came, quiet.then(() => this.#find(lane))]).finally(() => clearTimeout(timer));
      if (typeof found === 'object') return found.value;
      if (found === 'stalled') break;
      wait = found === 'away' ? lane.meter.patience : this.#stall;
    }
    throw new StalledError('nothing came for a while, and another way is open');
  }

  /** No byte comes, which may be the scanner's doing: only if the lane does not carry a small exchange either, a while after another does. */
  async #find(lane: Lane): Promise<'alive' | 'stalled' | 'away'> {
    const other = this.#beside(lane);
    if (!other) return 'alive';
    const alive = this.alive(lane);
    if (!(await this.alive(other))) return (await alive) ? 'alive' : 'away';
    const late = pause(lane.meter.patience).then(() => false);
    return (await Promise.race([alive, late])) ? 'alive' : 'stalled';
  }

  /** Whether a small exchange goes through; one for all who ask at a time. */
  alive(lane: Lane): Promise<boolean> {
    const running = this.#checks.get(lane) ?? lane.alive().finally(() => this.#checks.delete(lane));
    this.#checks.set(lane, running);
    return running;
  }
}
