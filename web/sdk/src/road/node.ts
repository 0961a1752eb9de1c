import { ProblemError } from '../problem.js';
import { passed } from './clock.js';
import { DirectLane, RelayLane, present, type Lane } from './lane.js';
import { Liveness, StalledError } from './liveness.js';
import type { Mark } from './measure.js';
import { continued, type Lanes } from './resume.js';
import type { Direct, OpenRoad, RoadKind, RoadState, RoadTimes } from './road.js';
import type { Means, RoadService } from './service.js';
import { following, within } from './signal.js';
import { NoRoadError, upgrade } from './upgrade.js';
import type { Verdicts } from './verdicts.js';

export interface Shared {
  service: RoadService;
  means: Means;
  verdicts: Verdicts;
  times: RoadTimes;
  kinds: RoadKind[];
  /** Until when the browser may ask its user, by this machine's clock: a click was just now. */
  asked: number;
  changed(node: string, state: RoadState): void;
}

const bulk = 256 << 10; // bytes of a body that measures a way
const faster = 1.5; // by which the relay must be faster, and how often in a row
const strikes = 2;
const worth = 1 << 20; // bytes left of a body that goes to the relay in mid-way
const look = 1000; // milliseconds after which a body may go to a relay that is known to be faster
const crawl = 2000; // bytes per millisecond, and for how long: slower is tried by a relay that nobody has measured
const fresh = 300_000; // milliseconds for which a measurement of the relay counts
const unmeasured = 8; // bodies after which the relay is measured once
const lossWindow = 60_000; // milliseconds in which a road that is lost three times is given up
const settling = 10_000; // milliseconds that a network may need to become another one

/** The roads to one node. Everything starts on the relay, and what fails on a road is done there. */
export class NodeRoads implements Lanes {
  readonly #node: string;
  readonly #shared: Shared;
  readonly #relay: RelayLane;
  readonly #liveness: Liveness;
  readonly #closed = new AbortController();
  #state: RoadState = { road: 'relay', direct: 'idle', since: Date.now() };
  #direct: DirectLane | undefined;
  #network = '';
  #upgrading: AbortController | undefined;
  #notBefore = 0; // of the next upgrade, by this machine's clock
  #failures = 0;
  #gated = false;
  #reprobe = 0; // when a better kind is tried beside the open road
  #used = -Infinity;
  #relayUntil = 0;
  #slow = 0;
  #bodies = 0;
  #losses: number[] = [];
  #lastLoss = -Infinity;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(node: string, shared: Shared) {
    this.#node = node;
    this.#shared = shared;
    this.#relay = new RelayLane(shared.service, shared.times);
    this.#liveness = new Liveness(shared.times.stall, (lane) => (lane === this.#relay ? this.#direct : this.#relay));
  }

  get state(): RoadState {
    return this.#state;
  }

  /** Opens a road if it is time to. */
  prepare(): void {
    this.moved();
    this.#improve();
  }

  /** Asks with GET. Rejects as fetch does, when all ways have failed. */
  async fetch(path: string, init: RequestInit): Promise<Response> {
    this.prepare();
    const tried = new Set<Lane>();
    const stop = following(init.signal);
    let lane = this.#choose();
    for (;;) {
      tried.add(lane);
      try {
        const response = await this.#ask(lane, path, init, stop.signal);
        if (lane === this.#relay || !doubtful(response.status)) return continued(response, lane, path, init, stop, this);
        response.body?.cancel().catch(() => {});
        lane = this.#relay; // who may do what, and what there is, the service says
      } catch (error) {
        const next = stop.signal.aborted ? undefined : this.#instead(lane, error, tried);
        if (!next) {
          stop.abort();
          throw error;
        }
        lane = next;
      }
    }
  }

  /** The lane to try when one has failed. */
  #instead(lane: Lane, error: unknown, tried: ReadonlySet<Lane>): Lane | undefined {
    this.failed(lane, error);
    return this.other(tried);
  }

  async #ask(lane: Lane, path: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    const stop = following(signal);
    const begun = performance.now();
    try {
      const response = await this.watch(lane, lane.fetch(path, { ...init, signal: stop.signal }));
      lane.meter.answered(performance.now() - begun);
      return response;
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  }

  // Choosing among lanes.

  #choose(): Lane {
    if (!this.#direct || !passed(this.#relayUntil, this.#shared.times.relay)) return this.#relay;
    this.#tell();
    if (this.#bodies >= unmeasured && Date.now() - this.#relay.meter.measured > fresh) {
      this.#bodies = 0;
      return this.#relay;
    }
    return this.#direct;
  }

  other(tried: ReadonlySet<Lane>): Lane | undefined {
    if (this.#direct && !tried.has(this.#direct)) return this.#direct;
    return tried.has(this.#relay) ? undefined : this.#relay;
  }

  moved(): void {
    this.#used = Date.now();
  }

  took(lane: Lane, from: Mark, bytes: number): void {
    if (bytes < bulk) return;
    const goodput = lane.meter.ended(from);
    if (lane !== this.#direct) return;
    this.#bodies++;
    const { measured, goodput: relay } = this.#relay.meter;
    const slow = relay !== undefined && Date.now() - measured < fresh && relay > faster * goodput;
    this.#slow = slow ? this.#slow + 1 : 0;
    if (this.#slow < strikes) return;
    this.#slow = strikes - 1; // after the minute, one more is enough
    this.#relayUntil = Date.now() + this.#shared.times.relay;
    this.#tell();
  }

  slow(lane: Lane, from: Mark, left: number): boolean {
    if (lane !== this.#direct || left < worth || this.#shared.times.relay < 0) return false;
    const goodput = lane.meter.since(from, look);
    if (goodput === undefined) return false;
    const { measured, goodput: relay } = this.#relay.meter;
    const known = relay !== undefined && Date.now() - measured < fresh;
    if (known ? relay <= faster * goodput : goodput >= crawl || lane.meter.since(from, crawl) === undefined) return false;
    this.#relayUntil = Date.now() + this.#shared.times.relay;
    this.#tell();
    return true;
  }

  watch<T>(lane: Lane, pending: Promise<T>): Promise<T> {
    return this.#liveness.watch(lane, pending);
  }

  failed(lane: Lane, error: unknown): void {
    if (!(lane instanceof DirectLane) || lane !== this.#direct) return;
    if (error instanceof StalledError) this.#lost(lane);
    else void this.#liveness.alive(lane).then((alive) => alive || this.#lost(lane));
  }

  // Opening a road.

  /** Tries for a direct road, or for a better one, if it is time. */
  #improve(): void {
    if (this.#upgrading || this.#closed.signal.aborted) return;
    const { kinds, asked, times } = this.#shared;
    const clicked = !passed(asked, times.question);
    if (!this.#direct && passed(this.#notBefore, times.failed)) void this.#upgrade(kinds, clicked);
    else if (this.#direct?.name === 'webrtc' && passed(this.#reprobe, times.failed)) void this.#upgrade(['webtransport'], clicked);
  }

  async #upgrade(kinds: RoadKind[], asked: boolean): Promise<void> {
    const { times, service, means, verdicts } = this.#shared;
    const running = following(this.#closed.signal);
    this.#upgrading = running;
    if (!this.#direct) this.#set('trying');
    const unsettled = Date.now() - this.#lastLoss < settling;
    try {
      const got = await upgrade({ node: this.#node, service, means, verdicts, times, kinds: kinds.filter((k) => this.#shared.kinds.includes(k)), asked, unsettled }, running.signal);
      this.#gated = got.gated;
      this.#failures = 0;
      this.#reprobe = Date.now() + (unsettled ? settling : times.failed);
      await this.#open(got.first, got.network);
      const later = await got.later;
      if (later) await this.#open(later, got.network);
    } catch (error) {
      if (running.signal.aborted) return;
      this.#missed(error, asked);
    } finally {
      running.abort();
      if (this.#upgrading === running) this.#upgrading = undefined;
    }
    if (!this.#direct && this.#recent()) this.#improve(); // it was lost meanwhile
  }

  #recent(): boolean {
    return Date.now() - this.#used < this.#shared.times.idle;
  }

  #missed(error: unknown, asked: boolean): void {
    const { direct, again, gated } = error instanceof NoRoadError ? error : { direct: 'unreachable' as const, again: undefined, gated: false };
    const pause = Math.min(this.#shared.times.failed, 5000 * 2 ** this.#failures++);
    this.#gated = gated;
    this.#reprobe = Date.now() + this.#shared.times.failed;
    this.#notBefore = again === undefined ? this.#reprobe : Math.max(again, Date.now() + pause);
    if (asked && gated) this.#shared.asked = 0; // the user has answered: no further question without a click
    if (!this.#direct) this.#set(direct);
  }

  async #open(open: OpenRoad, network: string): Promise<void> {
    const { service, verdicts, times } = this.#shared;
    const lane = new DirectLane(open, times);
    const before = this.#direct;
    const worse = before && (lane.name !== 'webtransport' || (await roundTrip(lane)) > faster * (await roundTrip(before)) + 20);
    if (this.#closed.signal.aborted || (worse && this.#direct === before)) return open.road.close();
    this.#direct = lane;
    if (this.#network && network !== this.#network) this.#forget();
    this.#network = network;
    this.#slow = 0;
    verdicts.worked(this.#node, network, open.road.kind);
    void open.road.closed.then(() => this.#lost(lane));
    this.#renewAt(lane, open.expires - service.now());
    this.#idleCheck();
    this.#set('open');
    before?.open.road.close(); // what it carries goes on by the better one
  }

  // Keeping it.

  #renewAt(lane: DirectLane, left: number): void {
    clearTimeout(this.#renewal);
    this.#renewal = setTimeout(() => void this.#renew(lane), Math.max(left - Math.min(this.#shared.times.renew, left / 2), 0));
  }

  async #renew(lane: DirectLane): Promise<boolean> {
    const { service, times } = this.#shared;
    try {
      const { grant } = await within(10 * times.check, this.#closed.signal, (signal) => service.roads(this.#node, {}, signal));
      const expires = await within(times.check, this.#closed.signal, (signal) => present(lane.open.road, this.#node, grant, signal));
      lane.open.expires = expires;
      if (lane === this.#direct) this.#renewAt(lane, expires - service.now());
      return true;
    } catch (error) {
      const left = lane.open.expires - service.now();
      const refused = error instanceof ProblemError && !error.retryable;
      if (lane === this.#direct && !refused && left > 0) this.#renewAt(lane, Math.min(left, 5 * times.check));
      else this.#lost(lane);
      return false;
    }
  }

  #idleCheck(): void {
    clearTimeout(this.#idle);
    const { idle } = this.#shared.times;
    const left = Math.min(this.#used + idle - Date.now(), idle); // less where the clock was set back
    if (left > 0) this.#idle = setTimeout(() => this.#idleCheck(), left);
    else this.#drop('idle');
  }

  /** The road is gone or of no use. If pages still come, another one is built. */
  #lost(lane: DirectLane): void {
    if (lane !== this.#direct) return;
    const { verdicts, times } = this.#shared;
    const now = Date.now();
    this.#lastLoss = now;
    this.#losses = this.#losses.filter((at) => now - at < lossWindow).concat(now);
    if (this.#losses.length >= 3) {
      this.#losses = [];
      verdicts.failed(this.#node, this.#network, lane.name, now + times.failed);
    }
    this.#notBefore = 0;
    this.#drop('idle');
    if (this.#recent()) this.#improve();
  }

  #drop(direct: Direct): void {
    const lane = this.#direct;
    this.#direct = undefined;
    clearTimeout(this.#renewal);
    clearTimeout(this.#idle);
    lane?.open.road.close();
    this.#set(direct);
  }

  /** The page is shown again, or the network is another one. */
  async wake(network: boolean): Promise<void> {
    this.#failures = 0;
    if (network) this.#forget();
    if (network || this.#gated) this.#notBefore = 0;
    const lane = this.#direct;
    if (lane) {
      const over = lane.open.expires <= this.#shared.service.now();
      if (!(over ? await this.#renew(lane) : await this.#liveness.alive(lane))) this.#lost(lane);
    } else if (network && this.#recent()) {
      this.#upgrading?.abort();
      this.#upgrading = undefined;
      this.#improve();
    }
  }

  /** The network is another one: what was measured says nothing of it. */
  #forget(): void {
    this.#relay.meter.forget();
    this.#relayUntil = 0;
    this.#tell();
  }

  /** From a click: the browser may ask its user now. */
  ask(): void {
    if (!this.#gated) return;
    this.#upgrading?.abort();
    void this.#upgrade(this.#direct ? ['webtransport'] : this.#shared.kinds, true);
  }

  close(): void {
    this.#closed.abort(new TypeError('the roads are closed'));
    this.#drop('idle');
  }

  #set(direct: Direct): void {
    const road = this.#direct && passed(this.#relayUntil, this.#shared.times.relay) ? this.#direct.name : 'relay';
    if (road === this.#state.road && direct === this.#state.direct) return;
    this.#state = { road, direct, since: Date.now() };
    this.#shared.changed(this.#node, this.#state);
  }

  #tell(): void {
    this.#set(this.#state.direct);
  }
}

/** Milliseconds of a small exchange, at best. */
async function roundTrip(lane: DirectLane): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < 3; i++) {
    const begun = performance.now();
    if (await lane.alive()) best = Math.min(best, performance.now() - begun);
  }
  return best;
}

/** Answers of a road that the relay is asked about once more: the grant's end, a lost right, a failure of the node. */
function doubtful(status: number): boolean {
  return status === 401 || status === 403 || status === 404 || status === 421 || status === 429 || status >= 500;
}

