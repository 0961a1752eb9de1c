const weight = 0.5; // of the newest body in what a road is held to deliver
const samples = 4; // answers of which the soonest says how long they take: the others may have met a silence

/** How a meter stood when a body began. */
export interface Mark {
  bytes: number;
  busy: number;
}

/**
 * What a way has delivered. Only the time counts in which somebody waits for bytes, so that slow readers do not make it slow, and not
 * that of a silence: then it is the network that is away, unless something small goes through meanwhile.
 */
export class Meter {
  /** Bytes per millisecond of the last bodies. */
  goodput: number | undefined;
  readonly #answers: number[] = []; // milliseconds to the first byte of the last ones
  /** When goodput was last measured. */
  measured = -Infinity;
  /** When something small was sent last, and when it last came through; by `performance.now()`. */
  nudged = -Infinity;
  heard = -Infinity;
  readonly #nudge: number;
  #bytes = 0;
  #busy = 0;
  #since = 0; // the last byte or sign of life, or when waiting began
  #lively = false; // it was a sign of life
  #waiting = 0;

  /** `nudge` as in RoadTimes. */
  constructor(nudge: number) {
    this.#nudge = nudge;
  }

  /** Milliseconds without a byte that are a silence. */
  get patience(): number {
    return Math.max(this.#nudge, this.#answers.length > 0 ? 2 * Math.min(...this.#answers) : 0);
  }

  /** Waits for bytes. */
  async read<T extends { value?: Uint8Array | undefined }>(pending: Promise<T>): Promise<T> {
    if (this.#waiting++ === 0) this.#count(false);
    try {
      const got = await pending;
      this.#bytes += got.value?.length ?? 0;
      return got;
    } finally {
      this.#count(true);
      this.#waiting--;
    }
  }

  answered(ms: number): void {
    this.#answers.push(ms);
    if (this.#answers.length > samples) this.#answers.shift();
  }

  /** What was sent last came through: who waits for bytes now waits for the way. */
  alive(): void {
    this.heard = performance.now();
    this.answered(this.heard - this.nudged);
    this.#count(this.#waiting > 0);
    this.#lively = true;
  }

  /** It is another network. */
  forget(): void {
    this.goodput = undefined;
    this.measured = -Infinity;
    this.#answers.length = 0;
  }

  mark(): Mark {
    return { bytes: this.#bytes, busy: this.#busy + (this.#waiting > 0 ? this.#running() : 0) };
  }

  #count(waited: boolean): void {
    if (waited) this.#busy += this.#running();
    this.#since = performance.now();
    this.#lively = false;
  }

  #running(): number {
    const ms = performance.now() - this.#since;
    return this.#lively || ms < this.patience ? ms : 0;
  }

  /** Bytes per millisecond since the mark, of at least so many milliseconds in which somebody waited; undefined: it is too soon to tell. */
  since(from: Mark, least: number): number | undefined {
    const to = this.mark();
    return to.busy - from.busy < least ? undefined : (to.bytes - from.bytes) / (to.busy - from.busy);
  }

  /** A body has ended that began at the mark. What other bodies took meanwhile was carried as well. Answers bytes per millisecond. */
  ended(from: Mark): number {
    const to = this.mark();
    const goodput = (to.bytes - from.bytes) / Math.max(to.busy - from.busy, 1);
    this.goodput = mean(this.goodput, goodput);
    this.measured = Date.now();
    return goodput;
  }
}

function mean(before: number | undefined, now: number): number {
  return before === undefined ? now : before + (now - before) * weight;
}
