import type { Duplex, Road } from './road.js';
import { following, unless } from './signal.js';
import { UnverifiedError } from './statement.js';

const gathering = 500; // milliseconds
const maxMessage = 16 << 10; // bytes, what every browser takes
const highWater = 256 << 10; // bytes that wait to be sent
const lowWater = 64 << 10;
// A data channel cannot pause its sender. In one with this protocol the node is never more than its window, 1 MiB, ahead of what the
// page says in text messages that it has taken.
const protocol = 'platen-window';
const maxWaiting = 2 << 20; // bytes that came and were not taken
const tell = 256 << 10; // bytes taken after which the node is told

type Make = (configuration: RTCConfiguration) => RTCPeerConnection;

export interface Answerer {
  iceServers: RTCIceServer[];
  /** SHA-256 of the node's certificate, from its statement. */
  fingerprint: Uint8Array;
  /** Passes the offer to the node, and its answer back. */
  answer(offer: string, signal: AbortSignal): Promise<string | undefined>;
}

/** A peer connection with the node, which is known by its certificate's hash. */
export async function openWebRTC(node: Answerer, signal: AbortSignal, make: Make = (c) => new RTCPeerConnection(c)): Promise<Road> {
  signal.throwIfAborted();
  const pc = make({ iceServers: node.iceServers });
  const failed = following(signal);
  const watch = (): void => {
    if (pc.connectionState === 'failed' || pc.connectionState === 'closed') failed.abort(new TypeError('the peer connection failed'));
  };
  pc.addEventListener('connectionstatechange', watch, { signal: failed.signal });
  try {
    // Without a channel an offer has nothing to connect. Nothing is sent on this one: the node does not know it.
    const first = pc.createDataChannel('', { negotiated: true, id: 0 });
    const offer = await unless(failed.signal, gathered(pc));
    const answer = await unless(failed.signal, node.answer(offer, failed.signal));
    if (!answer) throw new TypeError('the node does not answer an offer');
    await unless(failed.signal, pc.setRemoteDescription({ type: 'answer', sdp: pinned(answer, node.fingerprint) }));
    await unless(failed.signal, opened(first));
    return roadOver(pc);
  } catch (error) {
    pc.close();
    throw error;
  } finally {
    failed.abort();
  }
}

/** The offer with the addresses that were found in a short time. */
async function gathered(pc: RTCPeerConnection): Promise<string> {
  await pc.setLocalDescription(await pc.createOffer());
  if (pc.iceGatheringState !== 'complete') {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, gathering);
      function done(): void {
        clearTimeout(timer);
        pc.removeEventListener('icegatheringstatechange', changed);
        resolve();
      }
      function changed(): void {
        if (pc.iceGatheringState === 'complete') done();
      }
      pc.addEventListener('icegatheringstatechange', changed);
    });
  }
  return pc.localDescription!.sdp;
}

/**
 * The answer with the certificate that the node itself has named. It came through the gateway: another one in it means that somebody
 * stands in between.
 */
export function pinned(answer: string, fingerprint: Uint8Array): string {
  const named = Array.from(fingerprint, (b) => b.toString(16).padStart(2, '0')).join(':').toUpperCase();
  let found = 0;
  const lines = answer.split(/\r\n|\r|\n/).map((line) => {
    if (!/^\s*a\s*=\s*fingerprint\b/i.test(line)) return line;
    const m = /^a=fingerprint:sha-256 ([0-9A-F:]+)$/i.exec(line);
    if (m?.[1]!.toUpperCase() !== named) throw new UnverifiedError('the answer names another certificate than the node does');
    found++;
    return `a=fingerprint:sha-256 ${named}`;
  });
  if (found === 0) throw new UnverifiedError('the answer names no certificate');
  return lines.join('\r\n');
}

function opened(channel: RTCDataChannel): Promise<void> {
  return new Promise((resolve, reject) => {
    if (channel.readyState === 'open') return resolve();
    channel.addEventListener('open', () => resolve(), { once: true });
    channel.addEventListener('close', () => reject(new TypeError('the data channel is closed')), { once: true });
  });
}

function roadOver(pc: RTCPeerConnection): Road {
  let over!: () => void;
  let live = true;
  const closed = new Promise<void>((resolve) => (over = resolve));
  const close = (): void => {
    if (!live) return;
    live = false;
    pc.removeEventListener('connectionstatechange', changed);
    pc.close();
    over();
  };
  const changed = (): void => {
    if (pc.connectionState === 'failed' || pc.connectionState === 'closed') close();
  };
  pc.addEventListener('connectionstatechange', changed);
  return {
    kind: 'webrtc',
    closed,
    close,
    async open() {
      const channel = pc.createDataChannel('', { protocol });
      channel.binaryType = 'arraybuffer';
      await Promise.race([opened(channel), closed.then(() => Promise.reject(new TypeError('the road is closed')))]);
      return duplexOver(channel, closed);
    },
  };
}

/** The bytes of a data channel. An empty message is the end of what the node says; a channel that closes before has lost something. */
export function duplexOver(channel: RTCDataChannel, lost: Promise<void>): Duplex {
  const came: Uint8Array[] = [];
  let waiting = 0;
  let taken = 0;
  let told = 0;
  let over: { error?: Error } | undefined;
  let wake = (): void => {};
  const shut = (): void => channel.close();
  const end = (error?: Error): void => {
    over ??= error ? { error } : {};
    wake();
  };
  channel.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer | string>) => {
    if (over) return;
    if (typeof data === 'string' || waiting > maxWaiting) {
      end(new TypeError('the node does not keep to what was agreed on a data channel'));
      return shut();
    }
    if (data.byteLength === 0) return end();
    came.push(new Uint8Array(data));
    waiting += data.byteLength;
    wake();
  });
  channel.addEventListener('close', () => end(new TypeError('the data channel was closed')));
  channel.addEventListener('error', () => end(new TypeError('the data channel failed')));
  void lost.then(() => end(new TypeError('the road is closed')));
  const readable = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        while (came.length === 0 && !over) await new Promise<void>((resolve) => (wake = resolve));
        const part = came.shift();
        if (part) {
          controller.enqueue(part);
          waiting -= part.length;
          taken += part.length;
          if (taken - told >= tell && channel.readyState === 'open') channel.send(String((told = taken)));
        } else if (over?.error) controller.error(over.error);
        else controller.close();
      },
      cancel: shut,
    },
    { highWaterMark: 0 },
  );
  channel.bufferedAmountLowThreshold = lowWater;
  const writable = new WritableStream<Uint8Array>({
    async write(part) {
      for (let at = 0; at < part.length; at += maxMessage) {
        if (channel.bufferedAmount > highWater) await drained(channel);
        channel.send(part.slice(at, at + maxMessage) as Uint8Array<ArrayBuffer>); // throws if it is closed
      }
    },
    abort: shut,
  });
  return { readable, writable };
}

function drained(channel: RTCDataChannel): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      channel.removeEventListener('bufferedamountlow', done);
      channel.removeEventListener('close', lost);
      resolve();
    };
    const lost = (): void => {
      channel.removeEventListener('bufferedamountlow', done);
      reject(new TypeError('the data channel is closed'));
    };
    channel.addEventListener('bufferedamountlow', done);
    channel.addEventListener('close', lost, { once: true });
  });
}
