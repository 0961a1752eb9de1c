import { connectionError, type Transport } from './http.js';
import { toHex } from './id.js';
import { ConnectionError, DigestError, ProblemError, retryable } from './problem.js';
import { pause, waitFor } from './retry.js';
import { sha256 } from './sha256.js';
import type { Format } from './types.js';

export interface DownloadOptions {
  format?: Format;
  width?: number;
  signal?: AbortSignal;
  /** Bytes so far, and all of them once the service knows. */
  onProgress?(bytes: number, total: number | undefined): void;
  /** How many failures in a row without a new byte are forgiven. Default 6. */
  retries?: number;
}

export interface DownloadedPage {
  bytes: Uint8Array<ArrayBuffer>;
  /** MIME type. */
  type: string;
  etag: string;
  /** SHA-256 in hexadecimal, equal to what the service says of the whole image. */
  digest: string;
}

/**
 * Fetches one image whole. A connection that breaks, and a page that is still growing, is continued
 * by Range; If-Range makes sure that all bytes are of the same attempt at the page.
 */
export async function downloadPage(transport: Transport, path: string, options: DownloadOptions): Promise<DownloadedPage> {
  const fetched = new Fetched();
  const query = { format: options.format, width: options.width };
  const retries = options.retries ?? 6;
  for (let attempt = 1; ; ) {
    const before = fetched.length;
    try {
      await take(transport, path, query, fetched, options);
      if (fetched.complete) break;
      attempt = fetched.length > before ? 1 : attempt + 1;
      if (attempt > retries) throw new ConnectionError(new Error('the page does not go on'));
    } catch (error) {
      if (!retryable(error) || options.signal?.aborted) throw error;
      attempt = fetched.length > before ? 1 : attempt + 1;
      if (attempt > retries) throw error;
      await pause(waitFor(error, attempt), options.signal);
    }
  }
  const bytes = fetched.join();
  const digest = await sha256(bytes);
  if (fetched.digest !== undefined && fetched.digest !== digest) {
    throw new DigestError(`the page arrived with SHA-256 ${digest}, stored is ${fetched.digest}`);
  }
  return { bytes, type: fetched.type, etag: fetched.etag, digest };
}

class Fetched {
  chunks: Uint8Array[] = [];
  length = 0;
  total: number | undefined;
  etag = '';
  type = '';
  digest: string | undefined;
  /** The answer to the last request ended in order. */
  whole = false;

  /** All bytes are here, and the service has told the digest of the page as it was committed. */
  get complete(): boolean {
    return this.digest !== undefined && (this.total === undefined ? this.whole : this.length === this.total);
  }

  reset(): void {
    Object.assign(this, { chunks: [], length: 0, total: undefined, etag: '', digest: undefined, whole: false });
  }

  note(response: Response): void {
    this.etag = response.headers.get('ETag') ?? this.etag;
    this.type = response.headers.get('Content-Type') ?? this.type;
    this.digest = digestOf(response.headers.get('Repr-Digest')) ?? this.digest;
  }

  join(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const chunk of this.chunks) {
      out.set(chunk, at);
      at += chunk.length;
    }
    return out;
  }
}

async function take(transport: Transport, path: string, query: { format: Format | undefined; width: number | undefined }, fetched: Fetched, options: DownloadOptions): Promise<void> {
  const headers: Record<string, string> = {};
  const from = fetched.length;
  // A stream that ended in order while the page grew lacks only the digest: one byte tells it.
  const confirm = fetched.whole;
  if (from > 0 && fetched.etag) {
    headers['Range'] = confirm ? 'bytes=0-0' : `bytes=${from}-`;
    headers['If-Range'] = fetched.etag;
  }
  let response: Response;
  try {
    response = await transport.send('GET', path, { query, headers, signal: options.signal, cache: 'no-store' });
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'range-not-satisfiable' && from > 0) {
      fetched.whole = true; // nothing after what is here
      return;
    }
    throw error;
  }
  if (response.status === 206) {
    const range = contentRange(response.headers.get('Content-Range'));
    const start = confirm ? 0 : from;
    if (!range || range.start !== start) throw new ConnectionError(new Error('the answer is of another range'));
    fetched.note(response);
    if (range.total !== undefined) fetched.total = range.total;
    if (confirm) {
      fetched.whole = fetched.length === fetched.total;
      await response.body?.cancel();
      return;
    }
  } else {
    fetched.reset(); // another attempt at the page, or the first request
    fetched.note(response);
    const length = response.headers.get('Content-Length');
    if (length !== null && !response.headers.get('Content-Encoding')) fetched.total = Number(length);
  }
  await read(response, fetched, options);
  if (response.status !== 206) fetched.whole = true;
  if (fetched.total !== undefined && fetched.length > fetched.total) {
    fetched.reset();
    throw new ConnectionError(new Error('more bytes than announced'));
  }
}

async function read(response: Response, fetched: Fetched, options: DownloadOptions): Promise<void> {
  if (!response.body) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      fetched.chunks.push(value);
      fetched.length += value.length;
      options.onProgress?.(fetched.length, fetched.total);
    }
  } catch (error) {
    throw connectionError(error, options.signal);
  }
}

function contentRange(text: string | null): { start: number; total: number | undefined } | undefined {
  const m = /^bytes ([0-9]+)-[0-9]+\/([0-9]+|\*)$/.exec(text ?? '');
  return m ? { start: Number(m[1]), total: m[2] === '*' ? undefined : Number(m[2]) } : undefined;
}

/** The SHA-256 of a Repr-Digest field (RFC 9530) in hexadecimal. */
export function digestOf(field: string | null): string | undefined {
  const m = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]+={0,2}):/.exec(field ?? '');
  return m ? toHex(Uint8Array.from(atob(m[1]!), (c) => c.charCodeAt(0))) : undefined;
}
