import { describe, expect, it, vi } from 'vitest';
import { exchange } from '../src/road/http1.js';
import { UnverifiedError } from '../src/road/statement.js';
import { duplexOver, openWebRTC, pinned, type Answerer } from '../src/road/webrtc.js';

const soon = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 5000, interval: 2 });
const fingerprint = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
const hex = Array.from(fingerprint, (b) => b.toString(16).padStart(2, '0').toUpperCase()).join(':');
const answer = (print = `sha-256 ${hex}`): string => `v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=fingerprint:${print}\r\na=setup:active\r\n`;

/** A browser's data channel, with the node's end of it in the test. */
class Channel extends EventTarget {
  readyState: RTCDataChannelState = 'connecting';
  binaryType = '';
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  readonly sent: (Uint8Array | string)[] = [];

  constructor(readonly options: RTCDataChannelInit = {}) {
    super();
  }
  send(data: Uint8Array | string): void {
    if (this.readyState !== 'open') throw new Error('not open');
    this.sent.push(data);
    if (typeof data !== 'string') this.bufferedAmount += data.length;
  }
  open(): void {
    this.readyState = 'open';
    this.dispatchEvent(new Event('open'));
  }
  close(): void {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    this.dispatchEvent(new Event('close'));
  }
  say(data: Uint8Array | string): void {
    this.dispatchEvent(new MessageEvent('message', { data: typeof data === 'string' ? data : data.slice().buffer }));
  }
  drain(): void {
    this.bufferedAmount = 0;
    this.dispatchEvent(new Event('bufferedamountlow'));
  }
  get text(): string[] {
    return this.sent.filter((s) => typeof s === 'string');
  }
}

class Peer extends EventTarget {
  connectionState: RTCPeerConnectionState = 'new';
  iceGatheringState: RTCIceGatheringState = 'gathering';
  localDescription: { sdp: string } | undefined;
  remote: string | undefined;
  readonly channels: Channel[] = [];

  createDataChannel(_label: string, options?: RTCDataChannelInit): Channel {
    const channel = new Channel(options);
    this.channels.push(channel);
    if (this.connectionState === 'connected') queueMicrotask(() => channel.open());
    return channel;
  }
  async createOffer(): Promise<object> {
    return {};
  }
  async setLocalDescription(): Promise<void> {
    this.localDescription = { sdp: 'offer' };
  }
  async setRemoteDescription({ sdp }: { sdp: string }): Promise<void> {
    this.remote = sdp;
    this.become('connected');
    this.channels[0]!.open();
  }
  gathered(): void {
    this.iceGatheringState = 'complete';
    this.localDescription = { sdp: 'offer with candidates' };
    this.dispatchEvent(new Event('icegatheringstatechange'));
  }
  become(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.dispatchEvent(new Event('connectionstatechange'));
  }
  close(): void {
    this.connectionState = 'closed';
    for (const channel of this.channels) channel.close();
  }
}

/** Opens a road to a node that answers so. */
function start(answers: Answerer['answer'], signal = new AbortController().signal): { peer: Peer; road: ReturnType<typeof openWebRTC> } {
  const peer = new Peer();
  const road = openWebRTC({ iceServers: [{ urls: ['stun:x'] }], fingerprint, answer: answers }, signal, () => peer as unknown as RTCPeerConnection);
  road.catch(() => {});
  return { peer, road };
}

describe('openWebRTC', () => {
  it('offers what was gathered, and takes the node that the statement names', async () => {
    const offers: string[] = [];
    const { peer, road } = start(async (offer) => (offers.push(offer), answer()));
    await soon(() => expect(peer.localDescription).toBeDefined());
    peer.gathered();
    const open = await road;
    expect(offers).toEqual(['offer with candidates']);
    expect(peer.channels[0]!.options).toEqual({ negotiated: true, id: 0 });
    const duplex = await open.open();
    expect(peer.channels[1]!.options).toEqual({ protocol: 'platen-window' });
    const reader = duplex.readable.getReader();
    const read = reader.read();
    read.catch(() => {});
    peer.become('failed');
    await open.closed;
    await expect(read).rejects.toThrow();
    expect(peer.connectionState).toBe('closed');
  });

  it('does not wait for all candidates', async () => {
    vi.useFakeTimers();
    try {
      const { road } = start(async (offer) => (expect(offer).toBe('offer'), answer()));
      await vi.advanceTimersByTimeAsync(600);
      (await road).close();
    } finally {
      vi.useRealTimers();
    }
  });

  it.each<[string, string | undefined]>([
    ['another certificate', answer(`sha-256 ${hex.replace('07', '08')}`)],
    ['another hash', answer(`sha-1 ${hex}`)],
    ['a second certificate', `${answer()}a=fingerprint:sha-256 ${hex.replace('07', '08')}\r\n`],
    ['a certificate in odd spelling', `${answer()}a=Fingerprint:sha-512 00\r\n`],
    ['a certificate after a bare LF', `${answer()}x=\na=fingerprint:sha-512 00\r\n`],
    ['no certificate', 'v=0\r\n'],
  ])('refuses %s in the answer', async (_name, sdp) => {
    const { peer, road } = start(async () => sdp);
    await soon(() => expect(peer.localDescription).toBeDefined());
    peer.gathered();
    await expect(road).rejects.toThrow(UnverifiedError);
    expect(peer.remote).toBeUndefined();
    expect(peer.connectionState).toBe('closed');
  });

  it('ends with the abort, wherever it is, and closes the connection', async () => {
    for (const until of ['gathering', 'answering']) {
      const abort = new AbortController();
      const { peer, road } = start(() => new Promise(() => {}), abort.signal);
      await soon(() => expect(peer.localDescription).toBeDefined());
      if (until === 'answering') peer.gathered();
      abort.abort(new Error('enough'));
      await expect(road).rejects.toThrow('enough');
      expect(peer.connectionState).toBe('closed');
    }
  });
});

it('pinned leaves the rest of an answer as it is', () => {
  expect(pinned(answer(`SHA-256 ${hex.toLowerCase()}`), fingerprint)).toBe(answer());
});

describe('a data channel', () => {
  const made = (): { channel: Channel; duplex: ReturnType<typeof duplexOver> } => {
    const channel = new Channel();
    channel.open();
    return { channel, duplex: duplexOver(channel as unknown as RTCDataChannel, new Promise(() => {})) };
  };
  const head = new TextEncoder().encode('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');

  it('carries an exchange, and is closed after it', async () => {
    const { channel, duplex } = made();
    const answered = exchange(duplex, { method: 'GET', path: '/' });
    await soon(() => expect(channel.sent).toHaveLength(1));
    channel.say(head);
    channel.say(new TextEncoder().encode('hello'));
    expect(await (await answered).text()).toBe('hello');
    await soon(() => expect(channel.readyState).toBe('closed'));
  });

  it('ends by an empty message, and breaks off without one', async () => {
    const ended = made();
    ended.channel.say(new Uint8Array(3));
    ended.channel.say(new Uint8Array(0));
    ended.channel.close();
    const reader = ended.duplex.readable.getReader();
    expect((await reader.read()).value).toHaveLength(3);
    expect((await reader.read()).done).toBe(true);

    const broken = made();
    broken.channel.say(new Uint8Array(3));
    broken.channel.close();
    const other = broken.duplex.readable.getReader();
    expect((await other.read()).value).toHaveLength(3); // what came is not thrown away
    await expect(other.read()).rejects.toThrow('closed');
  });

  it('tells the node what was taken, not what came', async () => {
    const { channel, duplex } = made();
    const reader = duplex.readable.getReader();
    for (let i = 0; i < 64; i++) channel.say(new Uint8Array(16 << 10));
    expect(channel.text).toEqual([]);
    for (let i = 0; i < 64; i++) await reader.read();
    expect(channel.text).toEqual([256, 512, 768, 1024].map((k) => String(k << 10)));
  });

  it('is closed on a node that sends more than it may, or text', async () => {
    for (const say of [(c: Channel) => Array.from({ length: 300 }, () => c.say(new Uint8Array(16 << 10))), (c: Channel) => c.say('text')]) {
      const { channel, duplex } = made();
      say(channel);
      expect(channel.readyState).toBe('closed');
      const reader = duplex.readable.getReader();
      await expect((async () => { for (;;) if ((await reader.read()).done) return; })()).rejects.toThrow('agreed');
    }
  });

  it('sends small messages, and waits for those that are under way', async () => {
    const { channel, duplex } = made();
    const writer = duplex.writable.getWriter();
    const sent = writer.write(new Uint8Array(600_000));
    await soon(() => expect(channel.bufferedAmount).toBeGreaterThan(256 << 10));
    expect(channel.bufferedAmount).toBeLessThan((256 << 10) + (17 << 10));
    while (channel.sent.length < 37) {
      channel.drain();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await sent;
    expect(channel.sent.every((part) => part.length <= 16 << 10)).toBe(true);
    const stuck = writer.write(new Uint8Array(600_000));
    await soon(() => expect(channel.bufferedAmount).toBeGreaterThan(256 << 10));
    channel.close();
    await expect(stuck).rejects.toThrow();
  });

  it('is closed by an abort and by a cancelled body', async () => {
    const { channel, duplex } = made();
    const abort = new AbortController();
    const answered = exchange(duplex, { method: 'GET', path: '/', signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(answered).rejects.toThrow('enough');
    await soon(() => expect(channel.readyState).toBe('closed'));
  });
});
