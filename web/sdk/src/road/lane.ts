import { ask } from './ask.js';
import { Meter } from './measure.js';
import type { OpenRoad, Road, RoadTimes } from './road.js';
import type { RoadService } from './service.js';
import { within } from './signal.js';

/** One of the ways that an answer can come: the relay, or a road that is open. */
export interface Lane {
  readonly name: 'relay' | 'webtransport' | 'webrtc';
  readonly meter: Meter;
  /** Asks with GET. */
  fetch(path: string, init: RequestInit): Promise<Response>;
  /** Whether a small exchange goes through soon. */
  alive(): Promise<boolean>;
}

export class RelayLane implements Lane {
  readonly name = 'relay';
  readonly meter: Meter;
  readonly #service: RoadService;
  readonly #check: number;

  constructor(service: RoadService, { check, nudge }: RoadTimes) {
    this.meter = new Meter(nudge);
    this.#service = service;
    this.#check = check;
  }

  fetch(path: string, init: RequestInit): Promise<Response> {
    return this.#service.relay(path, { cache: 'no-store', ...init }); // an answer from the cache would be measured, too
  }

  async alive(): Promise<boolean> {
    try {
      const answer = await within(this.#check, undefined, (signal) => this.#service.relay('/api/v1/service', { method: 'GET', cache: 'no-store', signal }));
      answer.body?.cancel().catch(() => {});
      return answer.status < 500;
    } catch {
      return false;
    }
  }
}

/** What the node is told on a road. The session stays with the gateway: here the grant says who asks. */
const forwarded = ['accept', 'range', 'if-range', 'if-none-match'];

export class DirectLane implements Lane {
  readonly meter: Meter;
  readonly open: OpenRoad;
  readonly #check: number;

  constructor(open: OpenRoad, { check, nudge }: RoadTimes) {
    this.meter = new Meter(nudge);
    this.open = open;
    this.#check = check;
  }

  get name(): 'webtransport' | 'webrtc' {
    return this.open.road.kind;
  }

  fetch(path: string, init: RequestInit): Promise<Response> {
    const headers: Record<string, string> = {};
    new Headers(init.headers).forEach((value, name) => {
      if (forwarded.includes(name)) headers[name.replace(/(^|-)[a-z]/g, (c) => c.toUpperCase())] = value;
    });
    return ask(this.open.road, { method: 'GET', path, headers, signal: init.signal ?? undefined });
  }

  async alive(): Promise<boolean> {
    try {
      const request = { method: 'GET', path: '/api/v1/service', headers: { Accept: 'application/json' } };
      const answer = await within(this.#check, undefined, (signal) => ask(this.open.road, { ...request, signal }));
      answer.body?.cancel().catch(() => {});
      return answer.status !== 401; // any other answer is one: the road is there, and open
    } catch {
      return false;
    }
  }
}

/** The node does not take the grant. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
}

/** Shows a grant on a road, which opens it or keeps it open until the time that is answered. A grant works once. */
export async function present(road: Road, node: string, grant: string, signal: AbortSignal): Promise<number> {
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json' };
  const answer = await ask(road, { method: 'POST', path: '/api/v1/road', headers, body: JSON.stringify({ grant }), signal });
  const text = await answer.text();
  if (answer.status !== 200) throw new RefusedError(`the node answered ${answer.status}`);
  const said = JSON.parse(text) as { node?: string; expires?: string };
  const end = Date.parse(said.expires ?? '');
  if (said.node !== node || Number.isNaN(end)) throw new RefusedError('the road leads to another node');
  return end;
}
