const weight = 0.5; // of the newest body in what a road is held to deliver

/** How a meter stood when a body began. */
export interface Mark {
  bytes: number;
  busy: number;
}

/** What a way has delivered. Only the time counts in which somebody waits for bytes, so that slow readers do not make it slow. */
export class Meter {
  /** Bytes per millisecond of the last bodies. */
  goodput: number | undefined;
  /** Milliseconds to the first byte. */
  latency: number | undefined;
  /** When goodput was last measured. */
  measured = -Infinity;
  #bytes = 0;
  #busy = 0;
  #since = 0;
  #waiting = 0;

  /** Waits for bytes. */
  async read<T extends { value?: Uint8Array | undefined }>(pending: Promise<T>): Promise<T> {
    if (this.#waiting++ === 0) this.#since = performance.now();
    try {
      const got = await pending;
      this.#bytes += got.value?.length ?? 0;
      return got;
    } finally {
      if (--this.#waiting === 0) this.#busy += performance.now() - this.#since;
    }
  }

  answered(ms: number): void {
    this.latency = mean(this.latency, ms);
  }

  mark(): Mark {
    const running = this.#waiting > 0 ? performance.now() - this.#since : 0;
    return { bytes: this.#bytes, busy: this.#busy + running };
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
