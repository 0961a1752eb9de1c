import { connectionError, type RequestOptions, type Transport } from './http.js';
import { toHex } from './id.js';
import { ConnectionError, DigestError, ProblemError, retryable } from './problem.js';
import { pause, waitFor } from './retry.js';
import { isSealed, SealError, type Opening } from './seal.js';
import { ChunkOpener, chunkSize, opensAhead, plainSize } from './seal/chunks.js';
import { parseTag } from './seal/header.js';
import { sha256 } from './sha256.js';
import type { Format } from './types.js';

export interface DownloadOptions {
  format?: Format;
  width?: number;
  signal?: AbortSignal;
  /** Bytes so far, all of them once the service knows, and what has come: to show a page while it grows. */
  onProgress?(bytes: number, total: number | undefined, parts: readonly Uint8Array<ArrayBuffer>[]): void;
  /** How many failures in a row without a new byte are forgiven. Default 6. */
  retries?: number;
  /** SHA-256 of the image in hexadecimal, as the page's resource tells it. Default: what the answer says of itself. */
  digest?: string;
}

/** How requests are sent, and what comes sealed is opened. */
export interface DownloadBy {
  via?: () => RequestOptions['via'];
  /** Absent: a sealed answer is a SealError. */
  opening?: (response: Response) => Promise<Opening>;
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
 * by Range; If-Range makes sure that all bytes are of the same attempt at the page. What comes sealed is opened.
 */
export async function downloadPage(transport: Transport, path: string, options: DownloadOptions, by: DownloadBy = {}): Promise<DownloadedPage> {
  const fetched = new Fetched(options.format !== undefined || options.width !== undefined);
  const retries = options.retries ?? 6;
  for (let attempt = 1; ; ) {
    const before = fetched.length;
    try {
      await take(transport, path, by, fetched, options);
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
  for (const stored of [fetched.digest, options.digest]) {
    if (stored !== undefined && stored !== digest) throw new DigestError(`the page arrived with SHA-256 ${digest}, stored is ${stored}`);
  }
  return { bytes, type: fetched.type, etag: fetched.etag, digest };
}

class Fetched {
  chunks: Uint8Array<ArrayBuffer>[] = [];
  /** Of the image. */
  length = 0;
  /** Of what is sent, which is more where it is sealed. */
  total: number | undefined;
  etag = '';
  type = '';
  digest: string | undefined;
  /** The answer to the last request ended in order; where it is sealed, its final chunk was opened. */
  whole = false;
  /** Opens what comes; undefined: it comes as it is. */
  opener: ChunkOpener | undefined;
  /** The answer is for good, and of a rendition: those have no digest. */
  settled = false;
  readonly #rendition: boolean;

  constructor(rendition: boolean) {
    this.#rendition = rendition;
  }

  /** All bytes are here, and the service has told the digest of the page as it was committed, or the final chunk was opened. */
  get complete(): boolean {
    if (this.opener) return this.whole;
    return (this.digest !== undefined || this.settled) && (this.total === undefined ? this.whole : this.length === this.total);
  }

  /** Number of the byte, as it is sent, that comes next. */
  get at(): number {
    return this.opener?.at ?? this.length;
  }

  reset(): void {
    Object.assign(this, { chunks: [], length: 0, total: undefined, etag: '', digest: undefined, whole: false, opener: undefined, settled: false });
  }

  note(response: Response): void {
    this.etag = response.headers.get('ETag') ?? this.etag;
    if (!this.opener) this.type = response.headers.get('Content-Type') ?? this.type;
    this.digest = digestOf(response.headers.get('Repr-Digest')) ?? this.digest;
    this.settled = this.#rendition && /\bimmutable\b/.test(response.headers.get('Cache-Control') ?? '');
  }

  add(bytes: Uint8Array<ArrayBuffer>): void {
    this.chunks.push(bytes);
    this.length += bytes.length;
  }

  /** Opens the final chunk. */
  async end(): Promise<void> {
    if (!this.opener) return;
    this.add(await this.opener.end());
    this.whole = true;
  }

  /**
   * Goes over to an answer that has the same image in the other form, sealed or as it is, as another road gives it: what is here
   * stays, as far as it can be gone on with. False if that is nothing.
   */
  change(response: Response, opening: Opening | undefined): boolean {
    const [was, is] = [parseTag(this.etag), parseTag(response.headers.get('ETag'))];
    const same = was !== undefined && is !== undefined && was.version === is.version && was.form === is.form;
    const chunks = Math.floor(this.length / chunkSize);
    if (!same || was.sealed === is.sealed || is.sealed !== (opening !== undefined) || (opening ? chunks : this.length) === 0) return false;
    this.etag = response.headers.get('ETag')!;
    this.total = undefined;
    this.whole = false;
    this.opener = opening && new ChunkOpener(opening.key, chunks);
    if (opening) this.#cut(chunks * chunkSize);
    return true;
  }

  #cut(length: number): void {
    const kept = this.join().slice(0, length);
    this.chunks = [kept];
    this.length = length;
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

async function take(transport: Transport, path: string, by: DownloadBy, fetched: Fetched, options: DownloadOptions): Promise<void> {
  const headers: Record<string, string> = {};
  const from = fetched.at;
  // A stream that ended in order while the page grew lacks only the digest: one byte tells it.
  const confirm = fetched.whole;
  if (from > 0 && fetched.etag) {
    headers['Range'] = confirm ? 'bytes=0-0' : `bytes=${from}-`;
    headers['If-Range'] = fetched.etag;
  }
  const query = { format: options.format, width: options.width };
  let response: Response;
  try {
    response = await transport.send('GET', path, { query, via: by.via?.(), headers, signal: options.signal, cache: 'no-store' });
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'range-not-satisfiable' && from > 0) {
      await fetched.end(); // nothing after what is here
      fetched.whole = true;
      return;
    }
    throw error;
  }
  if (response.status === 206) {
    const range = contentRange(response.headers.get('Content-Range'));
    const start = confirm ? 0 : from;
    if (!range || range.start !== start || isSealed(response) !== (fetched.opener !== undefined)) {
      throw new ConnectionError(new Error('the answer is of another range'));
    }
    fetched.note(response);
    if (range.total !== undefined) fetched.total = range.total;
    if (confirm) {
      fetched.whole = fetched.length === fetched.total;
      await response.body?.cancel();
      return;
    }
  } else {
    const opening = isSealed(response) ? await open(response, by) : undefined;
    if (from > 0 && fetched.change(response, opening)) {
      if (opening) fetched.type = opening.type;
      await response.body?.cancel();
      return; // on to the rest of it
    }
    fetched.reset(); // another attempt at the page, or the first request
    if (opening) {
      fetched.opener = new ChunkOpener(opening.key);
      fetched.type = opening.type;
    }
    fetched.note(response);
    const length = response.headers.get('Content-Length');
    if (length !== null && !response.headers.get('Content-Encoding')) fetched.total = Number(length);
  }
  await read(response, fetched, options);
  if (fetched.opener) await finish(fetched, response.status === 206);
  else if (response.status !== 206) fetched.whole = true;
  if (fetched.total !== undefined && fetched.at > fetched.total) {
    fetched.reset();
    throw new ConnectionError(new Error('more bytes than announced'));
  }
}

async function open(response: Response, by: DownloadBy): Promise<Opening> {
  try {
    if (!by.opening) throw new SealError('key-lost');
    return await by.opening(response);
  } catch (error) {
    response.body?.cancel().catch(() => {});
    throw error;
  }
}

/** Opens the final chunk if it must be here now. */
async function finish(fetched: Fetched, part: boolean): Promise<void> {
  if (fetched.total !== undefined) {
    if (fetched.at === fetched.total) await fetched.end();
    return;
  }
  if (part) return; // more will come
  try {
    await fetched.end();
  } catch (error) {
    throw new ConnectionError(error); // cut, perhaps: the service tells whether there is more
  }
}

async function read(response: Response, fetched: Fetched, options: DownloadOptions): Promise<void> {
  if (!response.body) return;
  const reader = response.body.getReader();
  const adding: Promise<void>[] = [];
  /** Adds a piece when it is open and those before it are added. A page that grows does not wait for more to come. */
  const add = (opened: Promise<Uint8Array<ArrayBuffer>>): void => {
    const before = adding.at(-1);
    const added = Promise.all([opened, before]).then(([bytes]) => {
      fetched.add(bytes);
      const { total } = fetched;
      options.onProgress?.(fetched.length, fetched.opener && total !== undefined ? plainSize(total) : total, fetched.chunks);
    });
    added.catch(() => {}); // settle tells
    adding.push(added);
  };
  /** Waits until no more than this are under way. */
  const settle = async (left: number): Promise<void> => {
    while (adding.length > left) await adding.shift();
  };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      for (const piece of fetched.opener?.take(value) ?? [Promise.resolve(value)]) add(piece);
      await settle(fetched.opener ? opensAhead : 0);
    }
  } catch (error) {
    if (!(error instanceof SealError)) {
      await settle(0);
      throw connectionError(error, options.signal);
    }
    reader.cancel(error).catch(() => {});
    throw error;
  }
  await settle(0);
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
