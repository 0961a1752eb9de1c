/**
 * A UUID of version 7 (RFC 9562): time, then 74 random bits. It is the Idempotency-Key of one
 * intent of the user, so it is made once per intent and kept over retries.
 */
export function uuid7(now: number = Date.now()): string {
  const b = crypto.getRandomValues(new Uint8Array(16)); // also there in insecure contexts, unlike randomUUID
  for (let i = 5, ms = now; i >= 0; i--, ms = Math.floor(ms / 256)) b[i] = ms % 256;
  b[6] = (b[6]! & 0x0f) | 0x70;
  b[8] = (b[8]! & 0x3f) | 0x80;
  const hex = toHex(b);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let s = '';
  for (const b of bytes) s += b.toString(16).padStart(2, '0');
  return s;
}
