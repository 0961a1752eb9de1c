import type { components } from '../api.gen.js';
import { addressSpace, type AddressSpace } from '../space.js';
import { permissionFor } from '../permission.js';
import type { Road } from './road.js';
import { openWebRTC, type Answerer } from './webrtc.js';
import { openWebTransport } from './webtransport.js';

/** The service that the nodes are linked to, as the roads need it. */
export interface RoadService {
  /** Sends by way of the service; `path` begins with `/api/v1`. As fetch. */
  relay(path: string, init: RequestInit): Promise<Response>;
  /** Asks how the node is reached. Throws ProblemError or ConnectionError. */
  roads(node: string, request: components['schemas']['RoadRequest'], signal: AbortSignal): Promise<components['schemas']['Roads']>;
  /** The service's clock in milliseconds. */
  now(): number;
  /** Names the service among others, to remember by. */
  readonly name: string;
  /** The page comes from the service itself. */
  readonly own: boolean;
}

/** What the browser can do; the tests have their own. */
export interface Means {
  /** Roads can be opened and statements verified at all. */
  secure(): boolean;
  webtransport: ((addresses: string[], hashes: Uint8Array<ArrayBuffer>[], signal: AbortSignal) => Promise<Road>) | undefined;
  webrtc: ((node: Answerer, signal: AbortSignal) => Promise<Road>) | undefined;
  /** How near the page is by its own address. */
  space(): AddressSpace;
  permission(target: AddressSpace, page: AddressSpace): Promise<PermissionState>;
  /** Calls when the page is shown again, or the network is another one. Answers what ends that. */
  watch(woken: (network: boolean) => void): () => void;
  store: Storage | undefined;
}

export function browserMeans(): Means {
  return {
    secure: () => globalThis.isSecureContext !== false && (globalThis.crypto?.subtle as SubtleCrypto | undefined) !== undefined,
    webtransport: typeof WebTransport === 'undefined' ? undefined : openWebTransport,
    webrtc: typeof RTCPeerConnection === 'undefined' ? undefined : openWebRTC,
    space: () => (typeof location === 'undefined' ? 'loopback' : addressSpace(location.hostname)),
    permission: permissionFor,
    watch,
    store: storage(),
  };
}

function watch(woken: (network: boolean) => void): () => void {
  if (typeof document === 'undefined') return () => {};
  const end = new AbortController();
  const { signal } = end;
  const connection = (navigator as { connection?: EventTarget }).connection;
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && woken(false), { signal });
  addEventListener('pageshow', (event) => event.persisted && woken(false), { signal });
  addEventListener('online', () => woken(true), { signal });
  connection?.addEventListener?.('change', () => woken(true), { signal });
  return () => end.abort();
}

function storage(): Storage | undefined {
  try {
    return sessionStorage;
  } catch {
    return undefined; // switched off
  }
}
