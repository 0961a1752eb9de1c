import { SealError } from './error.js';

export const sealedType = 'application/vnd.platen.sealed';

/** What is sealed; package node/seal describes the parts. */
export interface SealedName {
  node: string;
  object: string;
  part: string;
  version: string;
  form: string;
}

export interface SealedHeader {
  /** Media type of what is inside. */
  type: string;
  /** Tells a wrong key from a damaged answer; undefined if it was not said. */
  for: string | undefined;
  /** The wrapped content key: enc ‖ ct. */
  key: Uint8Array<ArrayBuffer>;
}

const maxHeader = 1024; // characters
const wrapSize = 65 + 32 + 16;

/** Reads the field Platen-Sealed. */
export function parseSealed(field: string | null): SealedHeader {
  const [version, ...rest] = (field ?? '').split(';');
  if (field === null || field.length > maxHeader || version?.trim() !== 'v1') throw new SealError('damaged');
  const params = new Map<string, string>();
  for (const part of rest) {
    const at = part.indexOf('=');
    const name = part.slice(0, at).trim();
    if (at < 0 || params.has(name)) throw new SealError('damaged');
    params.set(name, part.slice(at + 1).trimEnd());
  }
  const type = params.get('type') ?? '';
  const key = fromBase64URL(params.get('key') ?? '');
  if (!/^[a-z0-9.+-]+\/[a-z0-9.+-]+$/.test(type) || key?.length !== wrapSize) throw new SealError('damaged');
  return { type, for: params.get('for'), key };
}

/** What an ETag names: `"<version>.<form>.s-<mark>"` where it is sealed, without the mark where it is not. */
export interface Tag {
  version: string;
  form: string;
  sealed: boolean;
}

export function parseTag(etag: string | null): Tag | undefined {
  const m = /^"([^".]+)(?:\.([^".]+?))??(\.s-[0-9a-f]{16})?"$/.exec(etag ?? '');
  return m ? { version: m[1]!, form: m[2] ?? '', sealed: m[3] !== undefined } : undefined;
}

/** The bytes of base64url without padding; undefined if it is none, or not the only text for them. */
export function fromBase64URL(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return undefined;
  try {
    const bytes = Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
    return toBase64URL(bytes) === text ? bytes : undefined;
  } catch {
    return undefined;
  }
}

export function toBase64URL(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}
