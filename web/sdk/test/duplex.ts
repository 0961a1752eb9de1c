import { createHash, type BinaryLike } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Duplex } from '../src/road/road.js';

/** A duplex whose other end says these parts, and then ends, breaks or stays silent. `sent` is what it was told. */
export function scripted(parts: Uint8Array[], then: 'end' | 'break' | 'silence' = 'end'): Duplex & { sent: Uint8Array[]; cancelled: unknown[]; ended: boolean } {
  const sent: Uint8Array[] = [];
  const cancelled: unknown[] = [];
  let at = 0;
  const duplex = {
    sent,
    cancelled,
    ended: false,
    readable: new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          const part = parts[at++];
          if (part) controller.enqueue(part);
          else if (then === 'end') controller.close();
          else if (then === 'break') controller.error(new TypeError('lost'));
          else return new Promise(() => {});
          return undefined;
        },
        cancel: (reason) => void cancelled.push(reason),
      },
      { highWaterMark: 0 },
    ),
    writable: new WritableStream<Uint8Array>({
      write: (part) => void sent.push(part),
      close: () => void (duplex.ended = true),
      abort: (reason) => void cancelled.push(reason),
    }),
  };
  return duplex;
}

/** A duplex over a socket. `tap` sees each part that arrives, and may give back fewer bytes, or destroy the socket. */
export function overSocket(socket: Socket, tap: (part: Uint8Array) => Uint8Array = (part) => part): Duplex {
  const readable = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        let over = false;
        const end = (error?: unknown): void => {
          if (over) return;
          over = true;
          if (error) controller.error(error);
          else controller.close();
        };
        socket.on('data', (part: Buffer) => {
          const kept = tap(new Uint8Array(part));
          if (over) return;
          if (kept.length > 0) controller.enqueue(kept);
          if ((controller.desiredSize ?? 0) <= 0) socket.pause();
        });
        socket.on('end', () => end());
        socket.on('error', end);
        socket.on('close', () => end(new TypeError('the stream was reset')));
      },
      pull: () => void socket.resume(),
      cancel: () => void socket.destroy(),
    },
    { highWaterMark: 64 << 10, size: (part) => part.length },
  );
  const writable = new WritableStream<Uint8Array>({
    write: (part) => new Promise((resolve, reject) => socket.write(part, (error) => (error ? reject(error) : resolve()))),
    abort: () => void socket.destroy(),
  });
  return { readable, writable };
}

export function sha256(bytes: BinaryLike): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Random numbers that are the same in each run. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    // Mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
