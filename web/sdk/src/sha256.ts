import { toHex } from './id.js';

/**
 * SHA-256 in lower-case hexadecimal. `crypto.subtle` is absent where the page is not a secure
 * context (plain HTTP on a LAN), so the function also has a version in plain TypeScript.
 */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  return subtle ? toHex(new Uint8Array(await subtle.digest('SHA-256', bytes))) : sha256Plain(bytes);
}

// The round constants: fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2),
// and the initial state from the square roots of the first 8 (5.3.3).
const constants = new Uint32Array(64);
const initial = new Uint32Array(8);
for (let n = 2, found = 0; found < 64; n++) {
  let prime = true;
  for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
  if (!prime) continue;
  if (found < 8) initial[found] = fraction(Math.sqrt(n));
  constants[found++] = fraction(Math.cbrt(n));
}

function fraction(x: number): number {
  return Math.floor((x - Math.floor(x)) * 2 ** 32);
}

/** FIPS 180-4, section 6.2. */
export function sha256Plain(bytes: Uint8Array): string {
  const state = initial.slice();
  const whole = bytes.length & ~63;
  for (let at = 0; at < whole; at += 64) compress(state, bytes, at);

  const rest = bytes.length - whole;
  const tail = new Uint8Array(rest < 56 ? 64 : 128);
  tail.set(bytes.subarray(whole));
  tail[rest] = 0x80;
  const view = new DataView(tail.buffer);
  view.setUint32(tail.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(tail.length - 4, bytes.length << 3);
  for (let at = 0; at < tail.length; at += 64) compress(state, tail, at);

  const out = new DataView(new ArrayBuffer(32));
  state.forEach((word, i) => out.setUint32(i * 4, word));
  return toHex(new Uint8Array(out.buffer));
}

const schedule = new Uint32Array(64);

function compress(state: Uint32Array, bytes: Uint8Array, at: number): void {
  const w = schedule;
  for (let i = 0; i < 16; i++, at += 4) {
    w[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15]!;
    const y = w[i - 2]!;
    w[i] = w[i - 16]! + (rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3)) + w[i - 7]! + (rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10));
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let i = 0; i < 64; i++) {
    const t1 = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + constants[i]! + w[i]!) | 0;
    const t2 = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((v, i) => (state[i] = state[i]! + v));
}

function rotate(x: number, n: number): number {
  return (x >>> n) | (x << (32 - n));
}
