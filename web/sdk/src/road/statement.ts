/** Where a node is reached directly, and by which keys: its own word. */
export interface Statement {
  /** When it ends, in milliseconds of the service's clock. */
  expires: number;
  /** Addresses for WebTransport. */
  webtransport: string[];
  /** SHA-256 of the certificates that it shows there. */
  hashes: Uint8Array<ArrayBuffer>[];
  /** SHA-256 of its certificate for WebRTC; undefined if it has none. */
  fingerprint: Uint8Array<ArrayBuffer> | undefined;
}

/** What claims to be the node has not proven it. */
export class UnverifiedError extends Error {
  override readonly name = 'UnverifiedError';
}

const purpose = 'platen-roads/1';
const maxToken = 8192; // characters
const maxChain = 32; // as the node has it
const maxRotation = 2048; // characters
const maxAddresses = 32;
const maxLife = 24 * 3600_000; // milliseconds
const skew = 60_000; // milliseconds; the node's clock against the service's

/**
 * Checks a statement against the node's ID. The ID is made of the node's first public key, and each change of key since is signed by
 * the key before, so nobody but the node can have made it: not the gateway that passes it on either. `now` is the service's clock.
 */
export async function verifyStatement(token: string, chain: string[], node: string, now: number): Promise<Statement> {
  const parts = token.length <= maxToken ? token.split('.') : [];
  if (parts.length !== 4 || parts[0] !== 'v4' || parts[1] !== 'public') throw new UnverifiedError('the statement is no token');
  const payload = fromBase64URL(parts[2]!);
  const key = fromBase64URL(parts[3]!); // the footer
  if (!payload || payload.length <= 64 || key?.length !== 32) throw new UnverifiedError('the statement is no token');
  if ((await nodeOf(key, chain)) !== node) throw new UnverifiedError('the statement is of another node');
  const message = payload.subarray(0, -64);
  const signed = preAuth([utf8('v4.public.'), message, key, utf8(`${purpose}\0${node}`)]);
  if (!(await verify(key, payload.subarray(-64), signed))) throw new UnverifiedError('the node has not signed the statement');
  return claims(message, node, now);
}

function claims(message: Uint8Array, node: string, now: number): Statement {
  let said: Record<string, unknown>;
  try {
    said = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(message)) as Record<string, unknown>;
  } catch {
    throw new UnverifiedError('the statement says nothing');
  }
  if (said['node'] !== node) throw new UnverifiedError('the statement is of another node');
  const [issued, expires] = [said['iat'], said['exp']].map((t) => (typeof t === 'string' ? Date.parse(t) : NaN)) as [number, number];
  if (!(issued <= now + skew && now < expires + skew && issued < expires && expires - issued <= maxLife)) throw new UnverifiedError('the time of the statement is up');
  const fingerprint = hash(said['fingerprint']);
  if (said['fingerprint'] && !fingerprint) throw new UnverifiedError('the statement names no good certificate');
  return {
    expires,
    webtransport: texts(said['webtransport']).filter(isAddress).slice(0, maxAddresses),
    hashes: texts(said['hashes']).map(hash).filter((h) => h !== undefined).slice(0, maxAddresses),
    fingerprint,
  };
}

function texts(v: unknown): string[] {
  return Array.isArray(v) ? v.filter((text) => typeof text === 'string') : [];
}

function isAddress(text: string): boolean {
  try {
    const { protocol, username, password, hash } = new URL(text);
    return protocol === 'https:' && !username && !password && !hash;
  } catch {
    return false;
  }
}

function hash(v: unknown): Uint8Array<ArrayBuffer> | undefined {
  const bytes = typeof v === 'string' ? fromBase64URL(v) : undefined;
  return bytes?.length === 32 ? bytes : undefined;
}

/** The ID of the node with this key; `identity.ParseChain` in the Go code. */
async function nodeOf(key: Uint8Array<ArrayBuffer>, chain: string[]): Promise<string> {
  if (chain.length > maxChain) throw new UnverifiedError("the node's key was changed too often");
  let id = chain.length === 0 ? await nodeID(key) : '';
  let at: Uint8Array | undefined;
  for (const text of chain) {
    const r = rotation(text);
    at ??= r.old;
    id ||= await nodeID(r.old);
    const signed = join([utf8(`platen-rotation/1\0${r.node}\0`), r.old, r.new]);
    if (r.node !== id || !same(r.old, at) || same(r.old, r.new) || !(await verify(r.old, r.byOld, signed)) || !(await verify(r.new, r.byNew, signed))) {
      throw new UnverifiedError("a change of the node's key is not signed as it must be");
    }
    at = r.new;
  }
  if (at && !same(at, key)) throw new UnverifiedError("the changes of the node's key lead to another key");
  return id;
}

interface Rotation {
  node: string;
  old: Uint8Array<ArrayBuffer>;
  new: Uint8Array<ArrayBuffer>;
  byOld: Uint8Array<ArrayBuffer>;
  byNew: Uint8Array<ArrayBuffer>;
}

function rotation(text: string): Rotation {
  const decoded = text.length <= maxRotation ? fromBase64URL(text) : undefined;
  try {
    const r = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(decoded)) as Record<keyof Rotation, string>;
    const bytes = (field: string, length: number): Uint8Array<ArrayBuffer> => {
      const b = Uint8Array.from(atob(field), (c) => c.charCodeAt(0));
      if (b.length !== length) throw new RangeError('length');
      return b;
    };
    return { node: String(r.node), old: bytes(r.old, 32), new: bytes(r.new, 32), byOld: bytes(r.byOld, 64), byNew: bytes(r.byNew, 64) };
  } catch {
    throw new UnverifiedError("a change of the node's key is malformed");
  }
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** `scan.NodeID` in the Go code: 26 characters of the hash of the key's SubjectPublicKeyInfo, and two that check them. */
export async function nodeID(key: Uint8Array<ArrayBuffer>): Promise<string> {
  // RFC 8410, section 4: a sequence of the algorithm 1.3.101.112 and a bit string.
  const info = join([Uint8Array.of(0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00), key]);
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', info));
  let body = '';
  for (let i = 0; i < 26; i++) {
    const at = i * 5;
    const two = (sum[at >> 3]! << 8) | sum[(at >> 3) + 1]!;
    body += alphabet[(two >> (11 - (at & 7))) & 31]!;
  }
  let check = 0;
  for (let i = 0; i < body.length; i++) check = (check + (i + 1) * (alphabet.indexOf(body[i]!) + 1)) % 1021;
  return body + alphabet[check >> 5]! + alphabet[check & 31]!;
}

/** Whether the key has signed; never where the browser does not know Ed25519. */
async function verify(key: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>, signed: Uint8Array<ArrayBuffer>): Promise<boolean> {
  try {
    const imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
    return await crypto.subtle.verify('Ed25519', imported, signature, signed);
  } catch {
    return false;
  }
}

/** PASETO, section "Pre-Authentication Encoding". */
export function preAuth(pieces: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = (n: number): Uint8Array => {
    const b = new Uint8Array(8);
    new DataView(b.buffer).setUint32(0, n, true);
    return b;
  };
  return join([length(pieces.length), ...pieces.flatMap((piece) => [length(piece.length), piece])]);
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function join(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

/** Without padding, and in one way only. */
export function fromBase64URL(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const decoded = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  if (btoa(decoded).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '') !== text) return undefined;
  return Uint8Array.from(decoded, (c) => c.charCodeAt(0));
}
