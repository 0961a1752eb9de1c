import { readFileSync } from 'node:fs';
import type { SealedName } from '../src/seal/header.js';

/** What package node/seal has sealed; its test writes and checks the file. */
export interface Vectors {
  private: string;
  recipient: string;
  good: { name: string; of: SealedName; header: string; type: string; plain: number; sealed: number; sha256: string; key: string; body?: string }[];
  hostile: { name: string; of: string; edits: Edit[]; opens: number }[];
  malformed: string[];
}

export interface Edit {
  flip?: number;
  cut?: number;
  append?: number;
  chunks?: { from?: string; chunk: number }[];
}

export const vectors = JSON.parse(readFileSync(new URL('testdata/sealed.json', import.meta.url), 'utf8')) as Vectors;

/** The bytes that the vectors are made of. */
export function plaintext(size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
}

/** The key pair that the vectors are sealed for. */
export async function devicePair(): Promise<CryptoKeyPair> {
  const algorithm = { name: 'ECDH', namedCurve: 'P-256' };
  return {
    privateKey: await crypto.subtle.importKey('pkcs8', Buffer.from(vectors.private, 'base64'), algorithm, false, ['deriveBits']),
    publicKey: await crypto.subtle.importKey('raw', Buffer.from(vectors.recipient, 'base64url'), algorithm, true, []),
  };
}

/** The sealed bytes of a vector: those of the file, or, where they are too many for it, sealed here with the same key. */
export async function bodyOf(name: string): Promise<Uint8Array> {
  const v = vectors.good.find((g) => g.name === name)!;
  if (v.body !== undefined) return new Uint8Array(Buffer.from(v.body, 'base64'));
  const key = await crypto.subtle.importKey('raw', Buffer.from(v.key, 'hex'), 'AES-GCM', false, ['encrypt']);
  const plain = plaintext(v.plain);
  const parts: Uint8Array[] = [];
  for (let index = 0; index * 65_536 <= plain.length; index++) {
    const chunk = plain.subarray(index * 65_536, (index + 1) * 65_536);
    const iv = new Uint8Array(12);
    iv[10] = index;
    iv[11] = chunk.length < 65_536 ? 1 : 0;
    parts.push(new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, new Uint8Array(chunk))));
  }
  return new Uint8Array(Buffer.concat(parts));
}
