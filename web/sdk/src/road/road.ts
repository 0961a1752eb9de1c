/** The ways from a page to a node without the gateway between them. */
export type RoadKind = 'webtransport' | 'webrtc';

/**
 * The bytes of one exchange in both directions. Cancelling `readable` and aborting `writable` resets it; closing `writable` and then
 * cancelling `readable` gives it back. A readable ends by the word of the other end only: what is lost is an error.
 */
export interface Duplex {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/** A way that stands. Nothing but exchanges goes over it, each on a duplex of its own. */
export interface Road {
  readonly kind: RoadKind;
  /** A new duplex; rejects when the road is gone. */
  open(): Promise<Duplex>;
  /** Resolves when the road is gone, for whatever cause. */
  readonly closed: Promise<void>;
  /** At once, with every exchange; may be called again. */
  close(): void;
}

/** What can be had of a node directly. */
export type Direct =
  /** Nothing has been fetched for a minute; the next page opens a road again. */
  | 'idle'
  | 'trying'
  | 'open'
  /** The node has no direct roads, or there is no gateway to say so. */
  | 'not-offered'
  /** The browser will ask its user. Say why, then call `ask()` from a click. */
  | 'permission-needed'
  /** The user or the browser has refused local addresses to this page. Only the browser's settings undo that. */
  | 'permission-denied'
  /** No road opens from here; it is tried again from time to time. */
  | 'unreachable'
  /** Who answers is not proven to be the node. Nothing was sent there. */
  | 'unverified'
  /** The page is not a secure context, and browsers open no road for such. */
  | 'insecure';

/** How pages come from one node. */
export interface RoadState {
  /** What carries the next page. */
  road: 'relay' | RoadKind;
  direct: Direct;
  /** Since when, in milliseconds of this machine's clock. */
  since: number;
}

/** A road on which the node has taken the grant. */
export interface OpenRoad {
  road: Road;
  /** When the grant ends, in milliseconds of the service's clock. */
  expires: number;
}

/** Milliseconds. */
export interface RoadTimes {
  /** From the service's answer until all attempts at a direct road end. */
  budget: number;
  /** By which the second kind of road starts after the first. */
  stagger: number;
  /** For the user to answer the browser's question. */
  question: number;
  /** Without a byte, after which the other end is to hear of us, or twice as long as answers take. */
  nudge: number;
  /** Without a byte, after which a road is suspected. */
  stall: number;
  /** For a small exchange that shows whether a road lives. */
  check: number;
  /** Without a page, after which a road is closed. */
  idle: number;
  /** For which a kind that did not open is left alone. */
  failed: number;
  /** For which the relay is kept when it is the faster one. */
  relay: number;
  /** Before its end that a grant is renewed. */
  renew: number;
}

export const roadTimes: RoadTimes = {
  budget: 3000, stagger: 300, question: 60_000, nudge: 500, stall: 2000, check: 1000, idle: 60_000, failed: 600_000, relay: 60_000, renew: 40_000,
};

export interface RoadOptions {
  /** The kinds that are tried. Default: both. */
  kinds?: RoadKind[];
  times?: Partial<RoadTimes>;
}
