import { contentRange, strongETag } from './ranges.js';
import type { Lane } from './lane.js';
import type { Mark } from './measure.js';
import { following } from './signal.js';

/** Who knows the lanes. */
export interface Lanes {
  /** Waits for what comes by a lane; rejects when the lane has stalled and another has not. */
  watch<T>(lane: Lane, pending: Promise<T>): Promise<T>;
  /** The best lane that was not tried in vain. */
  other(tried: ReadonlySet<Lane>): Lane | undefined;
  failed(lane: Lane, error: unknown): void;
  /** Whether the rest of a body that began at the mark, so many bytes, is better had by another lane. */
  slow(lane: Lane, from: Mark, left: number): boolean;
  /** So many bytes came by the lane, and the body ends or goes on by another one. */
  took(lane: Lane, from: Mark, bytes: number): void;
  /** A byte came. */
  moved(): void;
}

/**
 * The answer that came by a lane, with a body that goes on by another lane if the first one breaks: from the byte where it broke, and
 * only if the bytes are of the same representation. What cannot be continued fails as it would have done. Who gives up the body, or
 * has all of it, has `stop` aborted, which ends whatever was asked for it.
 */
export function continued(first: Response, lane: Lane, path: string, init: RequestInit, stop: AbortController, lanes: Lanes): Response {
  if (!first.body) {
    stop.abort();
    return first;
  }
  const plan = planOf(first);
  let reader = first.body.getReader();
  let mark = lane.meter.mark();
  let got = 0; // bytes for the caller
  let here = 0; // of which by this lane
  let skip = 0; // bytes to come again, for a service that knows no ranges
  const tried = new Set<Lane>();
  const { signal } = stop;

  const change = async (error: unknown): Promise<void> => {
    reader.cancel(error).catch(() => {});
    lanes.took(lane, mark, here);
    const slow = error instanceof SlowError ? lane : undefined; // goes on by it, if nothing else does
    for (let failure = error; ; ) {
      if (failure !== error || !slow) lanes.failed(lane, failure);
      tried.add(lane);
      const next = plan && lanes.other(tried);
      if (!next) throw error;
      lane = next;
      mark = lane.meter.mark();
      here = 0;
      const asking = following(signal);
      try {
        const response = await lanes.watch(lane, lane.fetch(path, continuing({ ...init, signal: asking.signal }, plan, got)));
        skip = fits(response, plan, got);
        if (skip >= 0 && response.body) {
          reader = response.body.getReader();
          return;
        }
        if (!slow) throw error; // it is of something else now
        throw new TypeError('the other way has something else');
      } catch (later) {
        asking.abort(later);
        if (later === error || signal.aborted) throw later;
        failure = later;
        if (slow) tried.delete(slow);
      }
    }
  };

  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    for (;;) {
      try {
        const { done, value } = await lanes.watch(lane, lane.meter.read(reader.read()));
        signal.throwIfAborted(); // a body that is given up looks ended
        if (done && plan?.length !== undefined && got < plan.length) throw new TypeError('the answer broke off');
        if (done) {
          lanes.took(lane, mark, here);
          stop.abort();
          return controller.close();
        }
        lanes.moved();
        here += value.length;
        tried.clear();
        const fresh = value.subarray(Math.min(skip, value.length));
        skip -= value.length - fresh.length;
        if (fresh.length === 0) continue;
        got += fresh.length;
        controller.enqueue(fresh);
        if (plan?.length !== undefined && lanes.slow(lane, mark, plan.length - got)) await change(new SlowError('another way is faster'));
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        await change(error).catch((final: unknown) => {
          stop.abort();
          throw final;
        });
      }
    }
  };
  const cancel = (reason: unknown): Promise<void> => {
    const given = reader.cancel(reason);
    stop.abort(reason);
    return given;
  };
  const body = new ReadableStream<Uint8Array>({ pull, cancel }, { highWaterMark: 0 });
  return new Response(body, { status: first.status, statusText: first.statusText, headers: first.headers });
}

/** The lane does what it can, and another one does more. */
class SlowError extends Error {
  override readonly name = 'SlowError';
}

/** What a body must be to be gone on with. */
interface Plan {
  etag: string;
  /** Of its first byte in the representation. */
  start: number;
  /** Of its last byte; undefined if it is not known. */
  end: number | undefined;
  total: number | undefined;
  /** In bytes. */
  length: number | undefined;
}

function planOf(first: Response): Plan | undefined {
  const etag = strongETag(first.headers);
  if (!etag || first.headers.get('Content-Encoding')) return undefined;
  if (first.status === 206) {
    const part = contentRange(first.headers.get('Content-Range'));
    if (part?.total === undefined) return undefined;
    return { etag, start: part.start, end: part.end, total: part.total, length: part.end - part.start + 1 };
  }
  if (first.status !== 200) return undefined;
  const field = first.headers.get('Content-Length');
  const length = field === null ? undefined : Number(field);
  // A page that grows may still be another attempt's; whoever follows one goes on by himself.
  if (length === undefined && /\bno-store\b/.test(first.headers.get('Cache-Control') ?? '')) return undefined;
  return { etag, start: 0, end: length === undefined ? undefined : length - 1, total: length, length };
}

function continuing(init: RequestInit, plan: Plan, got: number): RequestInit {
  const headers = new Headers(init.headers);
  headers.set('Range', `bytes=${plan.start + got}-${plan.end ?? ''}`);
  headers.set('If-Range', plan.etag);
  headers.delete('If-None-Match');
  return { ...init, headers };
}

/** How many bytes of the answer the caller has already; -1: it does not continue what he has. */
function fits(response: Response, plan: Plan, got: number): number {
  if (strongETag(response.headers) !== plan.etag || response.headers.get('Content-Encoding')) return -1;
  if (response.status === 206) {
    const part = contentRange(response.headers.get('Content-Range'));
    const whole = part?.total !== undefined && part.end === (plan.end ?? part.total - 1) && (plan.total ?? part.total) === part.total;
    return whole && part.start === plan.start + got ? 0 : -1;
  }
  const length = response.headers.get('Content-Length');
  const same = plan.length === undefined || length === null || Number(length) === plan.length;
  return response.status === 200 && plan.start === 0 && same && (plan.end === undefined || plan.end + 1 === plan.total) ? got : -1;
}
