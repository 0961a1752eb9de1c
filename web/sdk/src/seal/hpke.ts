import { SealError } from './error.js';
import type { SealedHeader, SealedName } from './header.js';

// RFC 9180: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
const kemSuite = [...ascii('KEM'), 0x00, 0x10];
const suite = [...ascii('HPKE'), 0x00, 0x10, 0x00, 0x01, 0x00, 0x02];
const pointSize = 65;
const noSalt = new Uint8Array(32); // HMAC pads its key with zeros, and browsers refuse an empty one

/** The key pair of a device, the private part of which may stay where it is. */
export interface OwnKey {
  private: CryptoKey;
  /** The uncompressed point. */
  point: Uint8Array<ArrayBuffer>;
}

/** Opens the content key of a sealed answer. Throws SealError `damaged` if it was sealed for another key or under another name. */
export async function unwrap(own: OwnKey, name: SealedName, header: SealedHeader): Promise<CryptoKey> {
  const { subtle } = crypto;
  try {
    const enc = header.key.slice(0, pointSize);
    const peer = await subtle.importKey('raw', enc, { name: 'ECDH', namedCurve: 'P-256' }, false, []);
    const dh = new Uint8Array(await subtle.deriveBits({ name: 'ECDH', public: peer }, own.private, 256));
    const shared = await agree(dh, enc, own.point);
    const { key, nonce } = await schedule(shared, info(name));
    const aead = await subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt']);
    const raw = await subtle.decrypt({ name: 'AES-GCM', iv: nonce, additionalData: ascii(header.type) }, aead, header.key.slice(pointSize));
    return await subtle.importKey('raw', raw, 'AES-GCM', false, ['decrypt']);
  } catch (error) {
    throw new SealError('damaged', error);
  }
}

/** The shared secret of the KEM (RFC 9180, section 4.1). */
async function agree(dh: Uint8Array, enc: Uint8Array, own: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const prk = await extract(kemSuite, noSalt, 'eae_prk', dh);
  return expand(kemSuite, prk, 'shared_secret', [...enc, ...own], 32);
}

/** Key and nonce in base mode (section 5.1). */
async function schedule(shared: Uint8Array<ArrayBuffer>, infoBytes: Uint8Array): Promise<{ key: Uint8Array<ArrayBuffer>; nonce: Uint8Array<ArrayBuffer> }> {
  const none = new Uint8Array();
  const context = [0x00, ...(await extract(suite, noSalt, 'psk_id_hash', none)), ...(await extract(suite, noSalt, 'info_hash', infoBytes))];
  const secret = await extract(suite, shared, 'secret', none);
  return { key: await expand(suite, secret, 'key', context, 32), nonce: await expand(suite, secret, 'base_nonce', context, 12) };
}

function info(name: SealedName): Uint8Array {
  return ascii(['platen-sealed/1', name.node, name.object, name.part, name.version, name.form].join('\0'));
}

function extract(of: number[], salt: Uint8Array<ArrayBuffer>, label: string, ikm: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return hmac(salt, [...ascii('HPKE-v1'), ...of, ...ascii(label), ...ikm]);
}

/** LabeledExpand for at most one block. */
async function expand(of: number[], prk: Uint8Array<ArrayBuffer>, label: string, context: number[], length: number): Promise<Uint8Array<ArrayBuffer>> {
  const block = await hmac(prk, [0, length, ...ascii('HPKE-v1'), ...of, ...ascii(label), ...context, 1]);
  return block.slice(0, length);
}

async function hmac(key: Uint8Array<ArrayBuffer>, message: number[]): Promise<Uint8Array<ArrayBuffer>> {
  const k = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', k, Uint8Array.from(message)));
}

function ascii(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
