import { SealError } from './error.js';

export const chunkSize = 64 << 10;
const overhead = 16;
const sealedChunk = chunkSize + overhead;

/** How many plain bytes so many sealed ones hold. */
export function plainSize(sealed: number): number {
  return Math.max(sealed - overhead * (Math.floor(sealed / sealedChunk) + 1), 0);
}

/** How many chunks are opened at a time: browsers do it elsewhere, and each takes its time to come back. */
export const opensAhead = 8;

/**
 * Opens sealed bytes in order, in whatever pieces they come. It keeps less than one chunk, so it goes on after a connection that
 * broke with the byte at `at`.
 */
export class ChunkOpener {
  readonly #key: CryptoKey;
  readonly #buf = new Uint8Array(sealedChunk);
  #have = 0;
  #index: number;
  #ended: number | undefined;

  /** `from` is the number of the first chunk. */
  constructor(key: CryptoKey, from = 0) {
    this.#key = key;
    this.#index = from;
  }

  /** Number of the sealed byte that it waits for. */
  get at(): number {
    return this.#ended ?? this.#index * sealedChunk + this.#have;
  }

  /** Takes a piece and begins to open the chunks that are full with it: they are not the last. */
  take(piece: Uint8Array): Promise<Uint8Array<ArrayBuffer>>[] {
    const opening: Promise<Uint8Array<ArrayBuffer>>[] = [];
    for (let from = 0; from < piece.length; ) {
      const part = piece.subarray(from, from + sealedChunk - this.#have);
      this.#buf.set(part, this.#have);
      this.#have += part.length;
      from += part.length;
      if (this.#have < sealedChunk) break;
      const chunk = this.#open(false);
      chunk.catch(() => {}); // whoever awaits it hears of it
      opening.push(chunk);
      this.#index++;
      this.#have = 0;
    }
    return opening;
  }

  /** Opens the final chunk, when all has come. */
  async end(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#have < overhead) throw new SealError('damaged');
    const last = await this.#open(true);
    this.#ended = this.at;
    return last;
  }

  async #open(final: boolean): Promise<Uint8Array<ArrayBuffer>> {
    const iv = new Uint8Array(12);
    new DataView(iv.buffer).setBigUint64(3, BigInt(this.#index));
    iv[11] = final ? 1 : 0;
    try {
      // The bytes are copied before this returns (Web Cryptography, 14.3.2): the buffer takes the next chunk meanwhile.
      return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, this.#key, this.#buf.subarray(0, this.#have)));
    } catch (error) {
      throw new SealError('damaged', error);
    }
  }
}

/** The plain bytes of a sealed body. It ends well only with the final chunk, and reads no further ahead than a few chunks. */
export function openBody(body: ReadableStream<Uint8Array>, key: CryptoKey): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  const opener = new ChunkOpener(key);
  const opening: Promise<Uint8Array<ArrayBuffer>>[] = [];
  let next: ReturnType<typeof reader.read> | undefined; // what comes while chunks are opened
  let ended = false;

  /** Reads until a chunk is being opened, or all has come. */
  const more = async (): Promise<void> => {
    while (opening.length === 0 && !ended) {
      const { done, value } = await (next ?? reader.read());
      next = undefined;
      ended = done;
      opening.push(...(done ? [opener.end()] : opener.take(value)));
    }
    if (!ended && opening.length < opensAhead && !next) {
      next = reader.read();
      next.catch(() => {}); // heard of when its turn comes
    }
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        try {
          await more();
          const chunk = await opening.shift();
          if (chunk && chunk.length > 0) controller.enqueue(chunk);
          if (ended && opening.length === 0) controller.close();
        } catch (error) {
          reader.cancel(error).catch(() => {});
          throw error;
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
