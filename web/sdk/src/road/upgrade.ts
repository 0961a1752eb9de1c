import { ProblemError, retryable } from '../problem.js';
import { addressSpace, type AddressSpace } from '../space.js';
import { passed } from './clock.js';
import { RefusedError, present } from './lane.js';
import type { Direct, OpenRoad, Road, RoadKind, RoadTimes } from './road.js';
import type { Means, RoadService } from './service.js';
import { following, within } from './signal.js';
import { UnverifiedError, verifyStatement, type Statement } from './statement.js';
import type { Verdicts } from './verdicts.js';

/** No road is open, and why. */
export class NoRoadError extends Error {
  override readonly name = 'NoRoadError';
  readonly direct: Exclude<Direct, 'idle' | 'trying' | 'open'>;
  /** When to try again, in milliseconds of this machine's clock; undefined: in a while. */
  readonly again: number | undefined;
  /** A person could open more by saying yes to the browser. */
  readonly gated: boolean;

  constructor(direct: NoRoadError['direct'], options: { again?: number | undefined; gated?: boolean; cause?: unknown } = {}) {
    super(direct, { cause: options.cause });
    this.direct = direct;
    this.again = options.again;
    this.gated = options.gated ?? false;
  }
}

export interface Upgrade {
  node: string;
  service: RoadService;
  means: Means;
  verdicts: Verdicts;
  times: RoadTimes;
  kinds: RoadKind[];
  /** The browser may ask its user: a click has led here. */
  asked: boolean;
  /** A road was lost just now: the network may be about to change, and what fails says nothing of the next one. */
  unsettled: boolean;
}

export interface Upgraded {
  first: OpenRoad;
  /** A road of a better kind that opens after the first. */
  later: Promise<OpenRoad | undefined>;
  network: string;
  gated: boolean;
}

type Answer = Awaited<ReturnType<RoadService['roads']>>;

interface Attempt {
  kind: RoadKind;
  budget: number;
  run(signal: AbortSignal): Promise<OpenRoad>;
}

/** Opens a direct road: the first one on which the node takes the grant. Throws NoRoadError, or the signal's reason. */
export async function upgrade(u: Upgrade, signal: AbortSignal): Promise<Upgraded> {
  if (!u.means.secure()) throw new NoRoadError('insecure');
  if (!u.means.webtransport && !u.means.webrtc) throw new NoRoadError('unreachable');
  const answer = await question(u, signal);
  if (!answer.statement) throw new NoRoadError('not-offered');
  let statement: Statement;
  try {
    statement = await verifyStatement(answer.statement, answer.chain ?? [], u.node, u.service.now());
  } catch (error) {
    throw new NoRoadError('unverified', { cause: error });
  }
  signal.throwIfAborted();

  const gate = await addresses(u, statement, answer.near);
  const attempts = attemptsOf(u, answer, statement, gate);
  const free = attempts.filter(({ kind }) => passed(u.verdicts.notBefore(u.node, answer.network, kind), u.times.failed));
  const best = u.verdicts.best(u.node, answer.network);
  free.sort((a, b) => Number(b.kind === best) - Number(a.kind === best));
  const gated = gate.refused !== undefined;
  if (free.length === 0) {
    const again = attempts.map(({ kind }) => u.verdicts.notBefore(u.node, answer.network, kind));
    throw new NoRoadError(gate.refused ?? (attempts.length > 0 || offersAny(statement) ? 'unreachable' : 'not-offered'), { gated, again: again.length > 0 ? Math.min(...again) : undefined });
  }
  let forged: unknown;
  let again: number | undefined;
  const begun = Date.now();
  const failed = (attempt: Attempt, error: unknown): void => {
    if (error instanceof UnverifiedError) return void (forged = error);
    // A service that did not pass the offer on, a node that refused the grant and a tab that slept say nothing of the network.
    if (u.unsettled || retryable(error) || error instanceof RefusedError || Date.now() - begun > 2 * (u.times.budget + attempt.budget)) again = 0;
    else u.verdicts.failed(u.node, answer.network, attempt.kind, Date.now() + u.times.failed);
  };
  try {
    const { first, later } = await race(free, u.times.stagger, signal, failed);
    return { first, later, network: answer.network, gated };
  } catch (error) {
    if (signal.aborted) throw error;
    if (forged) throw new NoRoadError('unverified', { cause: forged });
    const now = gate.asked ? await addresses({ ...u, asked: false }, statement, answer.near) : gate; // what the user said
    if (gate.asked) u.verdicts.failed(u.node, answer.network, 'webtransport', 0); // that was the user, not the network
    throw new NoRoadError(now.refused ?? 'unreachable', { again, gated: now.refused !== undefined, cause: error });
  }
}

async function question(u: Upgrade, signal: AbortSignal): Promise<Answer> {
  try {
    return await within(10 * u.times.check, signal, (limited) => u.service.roads(u.node, {}, limited));
  } catch (error) {
    signal.throwIfAborted();
    const refused = error instanceof ProblemError && !error.retryable && error.status !== 401;
    throw refused ? new NoRoadError('not-offered', { cause: error }) : new NoRoadError('unreachable', { cause: error, again: 0 });
  }
}

function offersAny(statement: Statement): boolean {
  return statement.webtransport.length > 0 || statement.fingerprint !== undefined;
}

interface Gate {
  /** Those that the page may reach, or about which the browser may ask now. */
  open: string[];
  /** Why others are left out. */
  refused: 'permission-needed' | 'permission-denied' | undefined;
  /** The browser will ask. */
  asked: boolean;
}

/** Sorts the node's addresses by what the browser lets this page reach. */
async function addresses(u: Upgrade, statement: Statement, near: boolean): Promise<Gate> {
  const page = near && u.service.own && u.means.space() === 'public' ? 'local' : u.means.space();
  const states = new Map<AddressSpace, PermissionState>();
  const gate: Gate = { open: [], refused: undefined, asked: false };
  for (const address of statement.webtransport) {
    const space = addressSpace(new URL(address).hostname);
    const state = states.get(space) ?? (await u.means.permission(space, page));
    states.set(space, state);
    if (state === 'granted' || (state === 'prompt' && u.asked)) gate.open.push(address);
    else if (state === 'prompt') gate.refused = 'permission-needed';
    else gate.refused ??= 'permission-denied';
    gate.asked ||= state === 'prompt' && u.asked;
  }
  return gate;
}

function attemptsOf(u: Upgrade, answer: Answer, statement: Statement, gate: Gate): Attempt[] {
  const { means, service, node, times } = u;
  const attempts: Attempt[] = [];
  const { webtransport, webrtc } = means;
  const { fingerprint, hashes } = statement;
  if (u.kinds.includes('webtransport') && webtransport && gate.open.length > 0 && hashes.length > 0) {
    const run = (signal: AbortSignal): Promise<OpenRoad> => taken(node, () => webtransport(gate.open, hashes, signal), () => answer.grant, signal);
    attempts.push({ kind: 'webtransport', budget: gate.asked ? times.question : times.budget, run });
  }
  if (u.kinds.includes('webrtc') && webrtc && fingerprint) {
    let { grant } = answer;
    const iceServers: RTCIceServer[] = (answer.iceServers ?? []).map((s) => ({ ...s }));
    const offered = async (offer: string, signal: AbortSignal): Promise<string | undefined> => {
      const second = await service.roads(node, { offer }, signal);
      grant = second.grant;
      return second.answer;
    };
    const run = (signal: AbortSignal): Promise<OpenRoad> => taken(node, () => webrtc({ iceServers, fingerprint, answer: offered }, signal), () => grant, signal);
    attempts.push({ kind: 'webrtc', budget: times.budget, run });
  }
  return attempts;
}

/** Opens a road and has the node take the grant. */
async function taken(node: string, open: () => Promise<Road>, grant: () => string, signal: AbortSignal): Promise<OpenRoad> {
  const road = await open();
  try {
    const expires = await present(road, node, grant(), signal);
    signal.throwIfAborted();
    return { road, expires };
  } catch (error) {
    road.close();
    throw error;
  }
}

/** Starts the attempts one after another and answers with the first road. WebTransport goes on behind WebRTC, never the other way round. */
function race(attempts: Attempt[], stagger: number, signal: AbortSignal, failed: (attempt: Attempt, error: unknown) => void): Promise<{ first: OpenRoad; later: Promise<OpenRoad | undefined> }> {
  return new Promise((resolve, reject) => {
    let settleLater!: (open: OpenRoad | undefined) => void;
    const later = new Promise<OpenRoad | undefined>((r) => (settleLater = r));
    const stops: { attempt: Attempt; stop: AbortController }[] = [];
    let won = false;
    let pending = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const opened = (attempt: Attempt, stop: AbortController, open: OpenRoad): void => {
      if (stop.signal.aborted) return open.road.close();
      if (won) return settleLater(open);
      won = true;
      clearTimeout(timer);
      for (const other of stops) {
        if (other.attempt !== attempt && (attempt.kind === 'webtransport' || other.attempt.kind !== 'webtransport')) other.stop.abort(new TypeError('another road was faster'));
      }
      resolve({ first: open, later });
    };
    const start = (): void => {
      clearTimeout(timer);
      const attempt = attempts[stops.length];
      if (!attempt || won || signal.aborted) return;
      const stop = following(signal);
      stops.push({ attempt, stop });
      pending++;
      let opening: Promise<OpenRoad> | undefined;
      within(attempt.budget, stop.signal, (limited) => (opening = attempt.run(limited)))
        .then(
          (open) => opened(attempt, stop, open),
          (error: unknown) => {
            void opening?.then((late) => late.road.close(), () => {});
            if (!stop.signal.aborted) failed(attempt, error);
            if (won) return;
            if (stops.length < attempts.length && !signal.aborted) start();
            else if (pending === 1) reject(signal.aborted ? signal.reason : error);
          },
        )
        .finally(() => {
          if (--pending === 0) settleLater(undefined);
        });
      if (stops.length < attempts.length) timer = setTimeout(start, stagger);
    };
    start();
  });
}
