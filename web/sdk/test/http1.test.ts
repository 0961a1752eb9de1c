import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { exchange } from '../src/road/http1.js';
import { random, scripted, sha256 } from './duplex.js';

interface Reading {
  raw: string;
  method: string;
  ok: boolean;
  status: number;
  path?: string;
  host?: string;
  close?: boolean;
  headers?: Record<string, string>;
  size: number;
  digest: string;
}

const here = fileURLToPath(new URL('.', import.meta.url));

/** Runs net/http's side. */
function peer(args: string[], input: object[] = []): Promise<Reading[]> {
  return new Promise((resolve, reject) => {
    const child = spawn('go', ['run', './http1peer', ...args], { cwd: here, stdio: ['pipe', 'pipe', 'inherit'] });
    const parts: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => parts.push(part));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0) return reject(new Error(`http1peer: exit status ${code}`));
      resolve(Buffer.concat(parts).toString().split('\n').filter(Boolean).map((line) => JSON.parse(line) as Reading));
    });
    child.stdin.end(input.map((line) => `${JSON.stringify(line)}\n`).join(''));
  });
}

const latin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

/** Cuts bytes at the places. */
function cut(bytes: Uint8Array, ...at: number[]): Uint8Array[] {
  const places = [0, ...at.sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((to, i) => bytes.subarray(places[i], to));
}

async function read(parts: Uint8Array[], method = 'GET'): Promise<{ response: Response; body: Uint8Array }> {
  const response = await exchange(scripted(parts), { method, path: '/' });
  return { response, body: new Uint8Array(await response.arrayBuffer()) };
}

let answers: Reading[] = [];
beforeAll(async () => {
  await new Promise((resolve, reject) => execFile('go', ['build', '-o', '/dev/null', './http1peer'], { cwd: here }, (error) => (error ? reject(error) : resolve(undefined))));
  answers = await peer(['answers', '300', '7']);
}, 120_000);

/** What the exchange reads must be what net/http's client reads. */
async function same(answer: Reading, parts: Uint8Array[]): Promise<void> {
  const { response, body } = await read(parts, answer.method);
  if (response.status !== answer.status || sha256(body) !== answer.digest) throw new Error(`status ${response.status}, ${body.length} bytes; want ${answer.status}, ${answer.size}`);
  for (const [name, value] of Object.entries(answer.headers ?? {})) {
    const got = response.headers.get(name);
    if (got?.trim() !== value.trim()) throw new Error(`${name} = ${got}, want ${value}`);
  }
}

describe('answers of net/http', () => {
  it('are read as its client reads them, however they are cut', async () => {
    const rnd = random(1);
    for (const answer of answers) {
      expect(answer.ok).toBe(true);
      const raw = new Uint8Array(Buffer.from(answer.raw, 'base64'));
      await same(answer, [raw]);
      for (let i = 0; i < 3; i++) await same(answer, cut(raw, rnd(raw.length), rnd(raw.length), rnd(raw.length)));
    }
  });

  it('are read the same when cut at any one place, and byte by byte', async () => {
    const small = answers.filter(({ size }) => size <= 200).slice(0, 40);
    for (const [i, answer] of small.entries()) {
      const raw = new Uint8Array(Buffer.from(answer.raw, 'base64'));
      for (let at = 1; at < raw.length && i < 8; at++) await same(answer, cut(raw, at));
      await same(answer, [...raw].map((b) => Uint8Array.of(b)));
    }
  });

  it('are never whole when they break off', async () => {
    const rnd = random(2);
    for (const answer of answers) {
      const raw = new Uint8Array(Buffer.from(answer.raw, 'base64'));
      const shorter = raw.subarray(0, raw.length - 1 - rnd(Math.min(raw.length - 1, 50)));
      const bodiless = answer.method === 'HEAD' || [204, 304].includes(answer.status) || answer.headers?.['content-length'] === '0';
      const whole = await read([shorter], answer.method).then(() => true, () => false);
      const headOnly = Buffer.from(raw).indexOf('\r\n\r\n') + 4 === raw.length;
      if (!bodiless || headOnly) expect(whole, `status ${answer.status}, ${shorter.length} of ${raw.length} bytes`).toBe(false);
    }
  });

  it('that were tampered with are never whole where the client of net/http finds them broken', async () => {
    const rnd = random(3);
    const mutants: { raw: string; method: string; bytes: Uint8Array }[] = [];
    for (const answer of answers.filter(({ size }) => size <= 3000)) {
      for (let i = 0; i < 8; i++) {
        const bytes = mutate(new Uint8Array(Buffer.from(answer.raw, 'base64')), rnd);
        mutants.push({ raw: Buffer.from(bytes).toString('base64'), method: answer.method, bytes });
      }
    }
    const judged = await peer(['judge'], mutants.map(({ raw, method }) => ({ raw, method })));
    let whole = 0;
    for (const [i, mutant] of mutants.entries()) {
      const got = await read([mutant.bytes], mutant.method).catch(() => undefined);
      if (!got) continue;
      whole++;
      const want = judged[i]!;
      const said = Buffer.from(mutant.bytes).toString('latin1').slice(0, 600);
      expect(want.ok, said).toBe(true);
      expect(got.response.status, said).toBe(want.status);
      expect(sha256(got.body), said).toBe(want.digest);
    }
    expect(whole).toBeGreaterThan(mutants.length / 10);
    expect(whole).toBeLessThan(mutants.length);
  });
});

/** One small wrong thing, preferably where it matters. */
function mutate(bytes: Uint8Array, rnd: (below: number) => number): Uint8Array {
  const list = [...bytes];
  const head = Math.min(list.length, rnd(3) === 0 ? list.length : 400);
  for (let times = 1 + rnd(2); times > 0; times--) {
    const at = rnd(head);
    const from = rnd(head);
    switch (rnd(8)) {
      case 0: list.length = Math.max(at, 1); break;
      case 1: list[at] = rnd(256); break;
      case 2: list.splice(at, 1 + rnd(3)); break;
      case 3: list.splice(at, 0, [13, 10, 32, 58, 59, 48, 0, 9][rnd(8)]!); break;
      case 4: list.splice(at, 0, ...list.slice(from, from + rnd(60))); break;
      case 5: insert(list, ['Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n', 'Trailer: Content-Length\r\n', 'X: \x01\r\n', ' folded\r\n', 'Content-Length: +3\r\n'][rnd(6)]!); break;
      case 6: list.push(...[...'0\r\n\r\n'].map((c) => c.charCodeAt(0))); break;
      case 7: {
        const digit = list.findIndex((b, i) => i > at && b >= 48 && b < 58);
        if (digit >= 0) list[digit] = 48 + rnd(10);
      }
    }
  }
  return Uint8Array.from(list);
}

/** After the status line. */
function insert(list: number[], line: string): void {
  list.splice(list.indexOf(10) + 1, 0, ...[...line].map((c) => c.charCodeAt(0)));
}

describe('requests', () => {
  it('are read by net/http as they were meant', async () => {
    const rnd = random(4);
    const word = (): string => Array.from({ length: 1 + rnd(12) }, () => String.fromCharCode(97 + rnd(26))).join('');
    const asked = Array.from({ length: 120 }, () => {
      const body = rnd(2) === 0 ? undefined : rnd(4) === 0 ? '' : `${word()} ü ${'x'.repeat(rnd(5000))}`;
      const headers = Object.fromEntries(Array.from({ length: rnd(5) }, () => [`X-${word()}`, `${word()}\t "${word()}"`]));
      return { method: body === undefined ? 'GET' : 'POST', path: `/api/v1/${word()}?a=%20${word()}&b=`, headers, ...(body === undefined ? {} : { body }) };
    });
    const sent = await Promise.all(
      asked.map(async (request) => {
        const duplex = scripted([latin1('HTTP/1.1 204 No Content\r\n\r\n')]);
        await exchange(duplex, request);
        return { raw: Buffer.concat(duplex.sent).toString('base64'), method: '' };
      }),
    );
    const got = await peer(['requests'], sent);
    expect(got).toHaveLength(asked.length);
    for (const [i, request] of asked.entries()) {
      const g = got[i]!;
      const body = request.body ?? '';
      expect(g).toMatchObject({ ok: true, method: request.method, path: request.path, host: 'node.platen.internal', close: true, size: Buffer.byteLength(body), digest: sha256(body) });
      for (const [name, value] of Object.entries(request.headers)) expect(g.headers?.[name.toLowerCase()]).toBe(value);
      expect(g.headers?.['content-length']).toBe(request.body === undefined ? undefined : String(Buffer.byteLength(body)));
    }
  });

  it('cannot be split by what they are made of', async () => {
    for (const request of [
      { method: 'GET', path: '/a b' }, { method: 'GET', path: '/a\r\nX: y' }, { method: 'GET', path: 'http://x/' }, { method: 'GET\r\n', path: '/' },
      { method: 'GET', path: '/', headers: { 'X: y\r\nZ': 'z' } }, { method: 'GET', path: '/', headers: { X: 'y\r\nZ: z' } }, { method: 'GET', path: '/', headers: { X: 'ü' } },
    ]) {
      const duplex = scripted([latin1('HTTP/1.1 204 No Content\r\n\r\n')]);
      await expect(exchange(duplex, request)).rejects.toThrow(TypeError);
      expect(duplex.sent).toEqual([]);
    }
  });
});

describe('an exchange', () => {
  const refused = [
    ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n'],
    ['a bare LF at the end of the head', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n'],
    ['a folded line', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n'],
    ['a control character', 'HTTP/1.1 200 OK\r\nX: a\x01\r\nContent-Length: 0\r\n\r\n'],
    ['a CR in a value', 'HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n'],
    ['a blank before the colon', 'HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na'],
    ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na'],
    ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two encodings', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['another encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['HTTP/2', 'HTTP/2 200\r\nContent-Length: 0\r\n\r\n'],
    ['another protocol', 'HTTP/1.1 101 Switching\r\n\r\n'],
    ['a status out of range', 'HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n'],
    ['no length', 'HTTP/1.1 200 OK\r\n\r\nabc'],
    ['too many fields', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(101)}Content-Length: 0\r\n\r\n`],
    ['too long a head', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(70_000)}\r\nContent-Length: 0\r\n\r\n`],
    ['too long a status line', `HTTP/1.1 200 ${'y'.repeat(70_000)}\r\nContent-Length: 0\r\n\r\n`],
    ['an endless string of interim answers', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(7) + 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['a missing last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
    ['a missing end after the last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n'],
    ['a chunk longer than it says', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n'],
    ['a chunk with a sign', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n'],
    ['a chunk line that ends with a bare LF', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n'],
    ['an endless chunk extension', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;${'x'.repeat(5000)}\r\nabc\r\n0\r\n\r\n`],
    ['chunks that are mostly extension', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${`1;${'x'.repeat(900)}\r\na\r\n`.repeat(30)}0\r\n\r\n`],
    ['a bad trailer', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n'],
    ['a trailer that is a length', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X, Content-Length\r\n\r\n0\r\nContent-Length: 3\r\n\r\n'],
  ] as const;

  it.each(refused)('refuses %s', async (_name, answer) => {
    for (const then of ['end', 'break'] as const) {
      const duplex = scripted([latin1(answer)], then);
      await expect(exchange(duplex, { method: 'GET', path: '/' }).then((r) => r.arrayBuffer())).rejects.toThrow();
      expect(duplex.cancelled.length, 'the stream is reset').toBeGreaterThan(0);
    }
  });

  it('takes chunks with extensions and trailers', async () => {
    const { body } = await read([latin1('HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nTrailer: X\r\n\r\n3;a=b\r\nabc\r\n00a \r\n0123456789\r\n0;x\r\nX: y\r\n\r\n')]);
    expect(Buffer.from(body).toString()).toBe('abc0123456789');
  });

  it('does not end its direction before the answer is whole, and then gives the stream back', async () => {
    const duplex = scripted(cut(latin1('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef'), 41), 'silence');
    const response = await exchange(duplex, { method: 'POST', path: '/', body: '{}' });
    const reader = response.body!.getReader();
    expect((await reader.read()).value).toHaveLength(3);
    expect(duplex.ended).toBe(false);
    expect((await reader.read()).value).toHaveLength(3);
    expect((await reader.read()).done).toBe(true);
    expect(duplex.ended).toBe(true);
  });

  it('reads no more of the stream than is asked for', async () => {
    let pulled = 0;
    const duplex = scripted([]);
    const readable = new ReadableStream<Uint8Array>(
      { pull: (c) => (pulled++ === 0 ? c.enqueue(latin1('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n')) : c.enqueue(new Uint8Array(1000))) },
      { highWaterMark: 0 },
    );
    const response = await exchange({ ...duplex, readable, writable: duplex.writable }, { method: 'GET', path: '/' });
    const reader = response.body!.getReader();
    await reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    expect(pulled).toBe(2);
    await reader.cancel();
  });

  it.each(['before', 'while it waits', 'in the body'])('is reset by an abort %s', async (when) => {
    const abort = new AbortController();
    const parts = when === 'in the body' ? [latin1('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc')] : [];
    const duplex = scripted(parts, 'silence');
    const reason = new Error('enough');
    if (when === 'before') abort.abort(reason);
    const answered = exchange(duplex, { method: 'GET', path: '/', signal: abort.signal });
    if (when === 'in the body') {
      const reader = (await answered).body!.getReader();
      await reader.read();
      const rest = reader.read();
      abort.abort(reason);
      await expect(rest).rejects.toBe(reason);
    } else {
      abort.abort(reason);
      await expect(answered).rejects.toBe(reason);
    }
    expect(duplex.cancelled).toContain(reason);
  });

  it('is reset when the body is cancelled', async () => {
    const duplex = scripted([latin1('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc')], 'silence');
    const response = await exchange(duplex, { method: 'GET', path: '/' });
    await response.body!.cancel('enough');
    expect(duplex.cancelled).toContain('enough');
  });
});
