import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { Roads } from '../src/road/roads.js';
import type { Road, RoadKind, RoadOptions, RoadTimes } from '../src/road/road.js';
import type { Means, RoadService } from '../src/road/service.js';
import { overSocket, random, sha256 } from './duplex.js';
import { Signer } from './signer.js';

type Way = 'relay' | RoadKind;

export const quick: RoadTimes = {
  budget: 1500, stagger: 400, question: 5000, nudge: 60, stall: 150, check: 600, idle: 60_000, failed: 600_000, relay: 60_000, renew: 40_000,
};

/** What goes wrong on a way. */
export interface Faults {
  /** Nothing is answered and nothing connects. */
  dead: boolean;
  /** Bytes of an answer's body after which it breaks off; used up by one answer. */
  cut: number | undefined;
  /** Everything is silent: requests wait, bodies stop. */
  silent: boolean;
  /** As long as this is open nothing comes; then everything goes on. */
  away: Promise<void> | undefined;
  /** Answers in place of pages. */
  status: number | undefined;
  /** Bytes per millisecond. */
  pace: number | undefined;
}

export interface Asked {
  way: Way;
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
}

/** A gateway and a node with one page, in this process, and a browser that reaches them. */
export class World {
  readonly node: Signer;
  readonly page: Buffer;
  readonly digest: string;
  etag = '"page-1"';
  /** The page has no length yet and ends when the test says so. */
  growing = false;
  ranges = true;
  readonly asked: Asked[] = [];
  readonly faults: Record<Way, Faults>;
  readonly open = new Set<Road>();
  readonly attempts: RoadKind[] = [];
  /** What holds up the opening of a road. */
  delay: Partial<Record<RoadKind, Promise<unknown>>> = {};
  grants = 0;
  presented: string[] = [];
  life = 120_000;
  statement: (() => Promise<string | undefined>) | undefined;
  addresses = ['https://192.168.1.5:18623/road'];
  network = 'home';
  near = false;
  permission: PermissionState = 'granted';
  space: 'public' | 'local' | 'loopback' = 'public';
  refuses: Error | undefined;
  woken: (network: boolean) => void = () => {};
  own = true;
  #bases!: Record<Way, string>;

  private constructor(node: Signer, size: number) {
    this.node = node;
    const next = random(5);
    this.page = Buffer.from(Uint8Array.from({ length: size }, () => next(256)));
    this.digest = sha256(this.page);
    const none = (): Faults => ({ dead: false, cut: undefined, silent: false, away: undefined, status: undefined, pace: undefined });
    this.faults = { relay: none(), webtransport: none(), webrtc: none() };
  }

  static async make(size = 300_000): Promise<World> {
    const world = new World(await Signer.make(), size);
    world.#bases = { relay: await world.#listen('relay'), webtransport: await world.#listen('webtransport'), webrtc: await world.#listen('webrtc') };
    return world;
  }

  roads(options: RoadOptions = {}, means: Partial<Means> = {}): Roads {
    const roads = new Roads(this.service(), { ...options, times: { ...quick, ...options.times } }, { ...this.means(), ...means });
    onTestFinished(() => roads.close());
    return roads;
  }

  service(): RoadService {
    return {
      relay: (path, init) => (this.faults.relay.dead ? Promise.reject(new TypeError('fetch failed')) : fetch(this.#bases.relay + path, init)),
      roads: async (node) => {
        if (this.refuses) throw this.refuses;
        const statement = this.statement ? await this.statement() : await this.says();
        return {
          grant: `grant ${++this.grants} for ${node}`, expires: new Date(Date.now() + this.life).toISOString(), near: this.near, network: this.network,
          ...(statement ? { statement } : {}), answer: 'v=0',
        };
      },
      now: () => Date.now(),
      name: 'test',
      own: this.own,
    };
  }

  /** The node's statement. */
  async says(more: object = {}): Promise<string> {
    const [iat, exp] = [-1000, 3600_000].map((ms) => new Date(Date.now() + ms).toISOString());
    const hash = 'b'.repeat(42) + 'g';
    return this.node.sign({ node: this.node.id, iat, exp, webtransport: this.addresses, hashes: [hash], fingerprint: hash, ...more });
  }

  means(): Means {
    return {
      secure: () => true,
      webtransport: (_addresses, _hashes, signal) => this.#road('webtransport', signal),
      webrtc: async (node, signal) => {
        await node.answer('v=0', signal);
        return this.#road('webrtc', signal);
      },
      space: () => this.space,
      permission: async (target, page) => (target === 'public' || page !== 'public' ? 'granted' : this.permission),
      watch: (woken) => {
        this.woken = woken;
        return () => (this.woken = () => {});
      },
      store: undefined,
    };
  }

  async #road(kind: RoadKind, signal: AbortSignal): Promise<Road> {
    this.attempts.push(kind);
    await Promise.race([this.delay[kind], new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))]);
    if (this.faults[kind].dead) throw new TypeError('no way');
    const sockets = new Set<Socket>();
    let live = true;
    let over!: () => void;
    const closed = new Promise<void>((resolve) => (over = resolve));
    const road: Road = {
      kind,
      closed,
      close: () => {
        live = false;
        this.open.delete(road);
        for (const socket of sockets) socket.destroy();
        over();
      },
      open: async () => {
        if (!live || this.faults[kind].dead) throw new TypeError('the road is closed');
        const socket = connect(Number(new URL(this.#bases[kind]).port), '127.0.0.1');
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
        return overSocket(socket);
      },
    };
    this.open.add(road);
    return road;
  }

  /** The network is away, on all ways, until the answer is called. */
  cut(): () => void {
    let back!: () => void;
    const away = new Promise<void>((resolve) => (back = resolve));
    const all = Object.values(this.faults);
    for (const faults of all) faults.away = away;
    return () => {
      for (const faults of all) faults.away = undefined;
      back();
    };
  }

  /** How often something was asked by a way. */
  count(way: Way, url = '/pages/'): number {
    return this.asked.filter((a) => a.way === way && a.url.includes(url)).length;
  }

  async #listen(way: Way): Promise<string> {
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (part) => (body += String(part)));
      request.on('end', () => this.#answer(way, request, response, body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #answer(way: Way, request: IncomingMessage, response: ServerResponse, body: string): void {
    const faults = this.faults[way];
    const url = request.url ?? '';
    if (faults.away) return void faults.away.then(() => this.#answer(way, request, response, body));
    this.asked.push({ way, method: request.method ?? '', url, headers: request.headers });
    if (faults.dead) return void request.socket.destroy();
    if (faults.silent) return;
    if (url === '/api/v1/road' && request.method === 'POST') {
      const { grant } = JSON.parse(body) as { grant: string };
      if (this.presented.includes(grant)) return void response.writeHead(403, { 'Content-Length': 0 }).end();
      this.presented.push(grant);
      const said = JSON.stringify({ node: this.node.id, expires: new Date(Date.now() + this.life).toISOString() });
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': said.length }).end(said);
      return;
    }
    if (url === '/api/v1/service') return void response.writeHead(200, { 'Content-Length': 2 }).end('{}');
    if (faults.status) return void response.writeHead(faults.status, { 'Content-Length': 0 }).end();
    this.#sendPage(faults, request, response);
  }

  #sendPage(faults: Faults, request: IncomingMessage, response: ServerResponse): void {
    const { page } = this;
    const head: Record<string, string | number> = { 'Content-Type': 'image/jpeg', ETag: this.etag, 'Repr-Digest': `sha-256=:${Buffer.from(this.digest, 'hex').toString('base64')}:` };
    const m = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    let from = 0;
    let to = page.length;
    if (this.growing) {
      response.writeHead(200, { ...head, 'Cache-Control': 'no-store' });
    } else if (m && this.ranges && (request.headers['if-range'] ?? this.etag) === this.etag) {
      from = Number(m[1]);
      to = m[2] ? Number(m[2]) + 1 : to;
      response.writeHead(206, { ...head, 'Content-Range': `bytes ${from}-${to - 1}/${page.length}`, 'Content-Length': to - from });
    } else if (this.ranges) {
      response.writeHead(200, { ...head, 'Content-Length': page.length });
    } else {
      response.writeHead(200, head); // chunked
    }
    const { cut } = faults;
    const part = page.subarray(from, cut === undefined ? to : Math.min(from + cut, to));
    const broken = cut !== undefined && from + cut < to;
    if (broken) faults.cut = undefined;
    const send = (at: number): void => {
      if (response.destroyed || faults.silent) return;
      if (faults.away) return void faults.away.then(() => send(at));
      const end = Math.min(part.length, at + (faults.pace ? Math.max(1, faults.pace * 20) : 65_536));
      const piece = part.subarray(at, end);
      const next = (): void => {
        if (end < part.length) faults.pace ? setTimeout(() => send(end), 20) : send(end);
        else if (broken) setImmediate(() => request.socket.destroy());
        else if (!this.growing) response.end();
      };
      if (piece.length > 0) response.write(piece, next);
      else next();
    };
    response.flushHeaders();
    send(0);
  }
}

