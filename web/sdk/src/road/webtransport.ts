import type { Duplex, Road } from './road.js';
import { unless } from './signal.js';

const stagger = 100; // milliseconds

type Make = (url: string, options: WebTransportOptions) => WebTransport;

/**
 * A session with the node, which is known by its certificate's hash. All addresses are tried, each a little after the one before or
 * at once when that failed; the first that stands is taken.
 */
export function openWebTransport(
  addresses: string[],
  hashes: Uint8Array<ArrayBuffer>[],
  signal: AbortSignal,
  make: Make = (url, options) => new WebTransport(url, options),
): Promise<Road> {
  const options = { serverCertificateHashes: hashes.map((value) => ({ algorithm: 'sha-256', value })) };
  return new Promise((resolve, reject) => {
    const tries = new Set<WebTransport>();
    let next = 0;
    let running = 0;
    let settled = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = (winner?: WebTransport, error?: unknown): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      for (const session of tries) if (session !== winner) close(session);
      if (winner) resolve(roadOver(winner));
      else reject(error);
    };
    const aborted = (): void => settle(undefined, signal.reason);
    const start = (): void => {
      clearTimeout(timer);
      const address = addresses[next++];
      if (settled || address === undefined) return;
      running++;
      const failed = (error: unknown): void => {
        running--;
        if (next < addresses.length) start();
        else if (running === 0) settle(undefined, error);
      };
      let session: WebTransport;
      try {
        session = make(address, options);
      } catch (error) {
        failed(error); // the browser refuses the address or the hashes
        return;
      }
      tries.add(session);
      session.closed.catch(() => {});
      session.ready.then(() => settle(session), failed);
      if (next < addresses.length) timer = setTimeout(start, stagger);
    };
    if (signal.aborted) return aborted();
    signal.addEventListener('abort', aborted, { once: true });
    if (addresses.length === 0 || hashes.length === 0) return settle(undefined, new TypeError('the node has no address for WebTransport'));
    start();
  });
}

function roadOver(session: WebTransport): Road {
  const gone = new AbortController();
  const closed = session.closed.then(() => {}, () => {}).then(() => gone.abort(new TypeError('the road is closed')));
  const ahead = datagrams(session)?.getWriter();
  ahead?.closed.catch(() => {});
  return {
    kind: 'webtransport',
    closed,
    open: async () => {
      // Chromium 156 loses its network process, and with it the cookies that are not on disk and every tab's connections, if what opens a
      // stream cannot leave, as on a phone that has come into another network. A datagram before it fails in peace. The node reads none.
      if (ahead) await unless(gone.signal, ahead.write(new Uint8Array(1)).catch(() => {}));
      // A browser may leave this promise open when the session ends.
      return unless(gone.signal, session.createBidirectionalStream() as Promise<Duplex>);
    },
    close: () => close(session),
  };
}

/** The specification once had the one, and has the other. */
function datagrams(session: WebTransport): WritableStream<Uint8Array> | undefined {
  const both: { writable?: WritableStream; createWritable?(): WritableStream } | undefined = session.datagrams;
  return both?.writable ?? both?.createWritable?.();
}

function close(session: WebTransport): void {
  try {
    session.close();
  } catch {
    // It failed before; some browsers throw then.
  }
}
