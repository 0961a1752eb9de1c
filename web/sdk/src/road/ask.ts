import { exchange, type Exchange } from './http1.js';
import type { Duplex, Road } from './road.js';

/** One exchange over a road. */
export async function ask(road: Road, request: Exchange): Promise<Response> {
  return exchange(await opened(road, request.signal), request);
}

/** A duplex, also for one who stops waiting for it. */
function opened(road: Road, signal: AbortSignal | undefined): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(signal?.reason);
    if (signal?.aborted) return gone();
    signal?.addEventListener('abort', gone, { once: true });
    road
      .open()
      .then((duplex) => {
        resolve(duplex);
        if (!signal?.aborted) return;
        duplex.writable.abort(signal.reason).catch(() => {});
        duplex.readable.cancel(signal.reason).catch(() => {});
      }, reject)
      .finally(() => signal?.removeEventListener('abort', gone));
  });
}
