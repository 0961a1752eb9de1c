import type { Duplex } from './road.js';

/** What is asked by one exchange. */
export interface Exchange {
  method: string;
  /** With its query. */
  path: string;
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal | undefined;
}

/** The answer is no HTTP/1.1, or has no end. */
export class BrokenAnswerError extends Error {
  override readonly name = 'BrokenAnswerError';
}

/** What all requests on a road name as their host; the road, not the name, says which node it is. */
export const host = 'node.platen.internal';

const maxHead = 64 << 10; // bytes
const maxFields = 100;
const maxInterim = 5; // answers 1xx, as net/http has it
const maxChunkLine = 4000; // bytes; net/http has 4096
const maxTrailer = 4000; // bytes

/**
 * One HTTP/1.1 exchange (RFC 9112) over a duplex of its own. It answers once the headers came; the body streams as it is read. The
 * request's direction is not ended before the answer is whole: the other end would take that for a caller who has left. A body is
 * whole, or reading it fails: one that would end with the stream, without a length or chunks, is not read at all. Stricter than browsers
 * are, for what is read here comes from a Go server.
 */
export async function exchange(duplex: Duplex, request: Exchange): Promise<Response> {
  const { signal } = request;
  const writer = duplex.writable.getWriter();
  const reader = duplex.readable.getReader();
  writer.closed.catch(() => {});
  reader.closed.catch(() => {});
  let failure: { reason: unknown } | undefined;
  let body: ReadableStreamDefaultController<Uint8Array> | undefined;
  const release = (): void => signal?.removeEventListener('abort', abort);
  const fail = (reason: unknown): void => {
    if (failure) return;
    failure = { reason };
    release();
    reader.cancel(reason).catch(() => {});
    writer.abort(reason).catch(() => {});
    body?.error(reason);
  };
  const finish = (): void => {
    release();
    writer.close().catch(() => {});
    reader.cancel().catch(() => {});
  };
  const abort = (): void => fail(signal?.reason);
  if (signal?.aborted) {
    fail(signal.reason);
    throw signal.reason;
  }
  signal?.addEventListener('abort', abort, { once: true });

  const input = new Input(reader);
  try {
    // Who answers without having read everything may say so; whatever else breaks here breaks reading, too.
    writer.write(encode(request)).catch(() => {});
    const head = await readHead(input);
    const framing = framingOf(head, request.method, input);
    const init = { status: head.status, statusText: head.reason, headers: head.headers };
    while (nullBody(head.status) && !framing.ended) {
      if (await framing.next()) throw new BrokenAnswerError('the answer has a body where none can be');
    }
    if (framing.ended) {
      finish();
      return new Response(null, init);
    }
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
      try {
        const part = await framing.next();
        if (failure) return;
        if (part) controller.enqueue(part);
        if (framing.ended) {
          finish();
          controller.close();
        }
      } catch (error) {
        fail(error);
      }
    };
    return new Response(new ReadableStream<Uint8Array>({ start: (c) => void (body = c), pull, cancel: fail }, { highWaterMark: 0 }), init);
  } catch (error) {
    const reason = failure ? failure.reason : error;
    fail(reason);
    throw reason;
  }
}

function encode(request: Exchange): Uint8Array {
  const { method, path, body } = request;
  if (!/^[A-Z]+$/.test(method) || !/^\/[\x21-\x7e]*$/.test(path)) throw new TypeError('the request line has characters that it cannot have');
  const content = new TextEncoder().encode(body ?? '');
  let head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n`;
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    if (!token.test(name) || /[^\t\x20-\x7e]/.test(value)) throw new TypeError(`the field ${name} has characters that it cannot have`);
    head += `${name}: ${value}\r\n`;
  }
  if (body !== undefined) head += `Content-Length: ${content.length}\r\n`;
  const start = new TextEncoder().encode(`${head}\r\n`);
  const all = new Uint8Array(start.length + content.length);
  all.set(start);
  all.set(content, start.length);
  return all;
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The bytes that came, by lines and by parts. */
class Input {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader;
  }

  /** A line without its CR LF, of at most `limit` bytes. */
  async line(limit: number): Promise<string> {
    for (let from = 0; ; ) {
      const at = this.#rest.indexOf(10, from);
      if (at > limit || (at < 0 && this.#rest.length > limit)) throw new BrokenAnswerError('a line of the answer is too long');
      if (at >= 0) {
        if (this.#rest[at - 1] !== 13) throw new BrokenAnswerError('a line of the answer has no CR LF');
        const text = latin1(this.#rest.subarray(0, at - 1));
        this.#rest = this.#rest.subarray(at + 1);
        if (/[^\t\x20-\x7e\x80-\xff]/.test(text)) throw new BrokenAnswerError('a line of the answer has control characters');
        return text;
      }
      from = this.#rest.length;
      const part = await this.#next();
      if (!part) throw new BrokenAnswerError('the answer broke off');
      this.#rest = concat(this.#rest, part);
    }
  }

  /** From one to `limit` bytes; undefined at the end. */
  async part(limit: number): Promise<Uint8Array | undefined> {
    const bytes = this.#rest.length > 0 ? this.#rest : await this.#next();
    if (!bytes) return undefined;
    this.#rest = bytes.subarray(Math.min(limit, bytes.length));
    return bytes.subarray(0, Math.min(limit, bytes.length));
  }

  async #next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      if (value.length > 0) return value;
    }
  }
}

interface Head {
  status: number;
  reason: string;
  headers: Headers;
  length: number | undefined;
  chunked: boolean;
}

async function readHead(input: Input): Promise<Head> {
  for (let interim = 0; interim <= maxInterim; interim++) {
    const status = /^HTTP\/1\.1 ([1-5][0-9][0-9])(?: (.*))?$/.exec(await input.line(maxHead));
    if (!status) throw new BrokenAnswerError('the answer is no HTTP/1.1');
    const head: Head = { status: Number(status[1]), reason: status[2] ?? '', headers: new Headers(), length: undefined, chunked: false };
    await readFields(input, head);
    if (head.status === 101) throw new BrokenAnswerError('the answer changes the protocol');
    if (head.status >= 200) return head;
  }
  throw new BrokenAnswerError('the answer does not come to its point');
}

async function readFields(input: Input, head: Head): Promise<void> {
  let left = maxHead;
  for (let fields = 0; ; fields++) {
    const line = await input.line(left);
    if (line === '') break;
    left -= line.length;
    if (fields === maxFields) throw new BrokenAnswerError('the answer has too many fields');
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    if (!token.test(name)) throw new BrokenAnswerError('a field of the answer has no name'); // also a folded one
    const value = line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, '');
    const again = head.headers.has(name);
    head.headers.append(name, value);
    switch (name.toLowerCase()) {
      case 'content-length':
        if (again || !/^[0-9]{1,15}$/.test(value)) throw new BrokenAnswerError('the answer has no clear length');
        head.length = Number(value);
        break;
      case 'transfer-encoding':
        if (again || value.toLowerCase() !== 'chunked') throw new BrokenAnswerError('the answer is encoded in an unknown way');
        head.chunked = true;
        break;
      case 'trailer':
        if (/(?:^|,)\s*(?:content-length|transfer-encoding|trailer)\s*(?:,|$)/i.test(value)) throw new BrokenAnswerError('the answer has no clear length');
    }
  }
  if (head.chunked && head.length !== undefined) throw new BrokenAnswerError('the answer has no clear length');
}

/** A body in its encoding. */
interface Framing {
  /** Everything was read. */
  ended: boolean;
  /** The next bytes; undefined if none are left. */
  next(): Promise<Uint8Array | undefined>;
}

/** For these a Response cannot have a body. */
function nullBody(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}

function framingOf(head: Head, method: string, input: Input): Framing {
  if (method === 'HEAD' || head.status === 204 || head.status === 304) return { ended: true, next: async () => undefined };
  if (head.chunked) return chunked(input);
  if (head.length !== undefined) return sized(input, head.length);
  throw new BrokenAnswerError('the answer has no length');
}

function sized(input: Input, length: number): Framing {
  const framing: Framing = {
    ended: length === 0,
    async next() {
      const part = await input.part(length);
      if (!part) throw new BrokenAnswerError(`the answer broke off ${length} bytes before its end`);
      length -= part.length;
      framing.ended = length === 0;
      return part;
    },
  };
  return framing;
}

/** RFC 9112, section 7.1, with the limits of net/http: chunks may be small, and what they carry beside data is bounded. */
function chunked(input: Input): Framing {
  let left = 0;
  let begun = false;
  let excess = 0;
  const framing: Framing = {
    ended: false,
    async next() {
      if (left === 0) {
        if (begun && (await input.line(maxChunkLine)) !== '') throw new BrokenAnswerError('a chunk of the answer is longer than it says');
        begun = true;
        const line = await input.line(maxChunkLine);
        const size = /^([0-9A-Fa-f]{1,13})(?:[\t ]*|;.*)$/.exec(line);
        if (!size) throw new BrokenAnswerError('a chunk of the answer has no length');
        left = parseInt(size[1]!, 16);
        excess = Math.max(0, excess + line.length + 2 - 16 - 2 * left);
        if (excess > 16 << 10) throw new BrokenAnswerError('the answer has too little data for its size');
        if (left === 0) {
          await skipTrailer(input);
          framing.ended = true;
          return undefined;
        }
      }
      const part = await input.part(left);
      if (!part) throw new BrokenAnswerError('the answer broke off');
      left -= part.length;
      return part;
    },
  };
  return framing;
}

async function skipTrailer(input: Input): Promise<void> {
  for (let left = maxTrailer; ; ) {
    const line = await input.line(left);
    if (line === '') return;
    left -= line.length + 2;
    const name = line.slice(0, Math.max(line.indexOf(':'), 0));
    if (left < 0 || !token.test(name)) throw new BrokenAnswerError('the answer has a bad trailer');
  }
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return text;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
