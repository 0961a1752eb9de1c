import { afterEach, describe, expect, it, vi } from 'vitest';
import { createHash } from 'node:crypto';
import { DigestError, MemoryKeys, PlatenClient, SealError, type KeyStore } from '../src/index.js';
import { bodyOf, devicePair, plaintext, vectors } from './sealed.js';
import { job, jobID, json, problem, scanner, serve } from './server.js';

const page = vectors.good.find((v) => v.name === 'long')!;
const image = plaintext(page.plain);
const hex = createHash('sha256').update(image).digest('hex');
const sealedTag = `"${page.of.version}.s-0123456789abcdef"`;
const plainTag = `"${page.of.version}"`;
const head = { 'Content-Type': 'application/vnd.platen.sealed', 'Platen-Sealed': page.header, ETag: sealedTag };
const plainHead = { 'Content-Type': 'image/jpeg', ETag: plainTag };
const repr = { 'Repr-Digest': `sha-256=:${createHash('sha256').update(image).digest('base64')}:` };
const body = Buffer.from(await bodyOf('long'));
const { length } = body;
const sealedContent = await bodyOf('document');

async function keys(): Promise<KeyStore> {
  const store = new MemoryKeys();
  await store.keep(await devicePair());
  return store;
}

interface Ask {
  range: string;
  ifRange: string;
  /** First byte of the range. */
  at: number;
}

/** A gateway in memory that answers for the job, and for its page as it is told. Answers the client, and the ranges that it asked for. */
async function gateway(answer: (ask: Ask, n: number) => Response): Promise<{ client: PlatenClient; asked: string[]; fetch: typeof fetch }> {
  const asked: string[] = [];
  const fetched = async (url: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    if (!String(url).includes('/pages/')) return Response.json(job({ id: page.of.object, node: page.of.node, recipient: vectors.recipient }));
    const headers = new Headers(init?.headers);
    const range = headers.get('Range') ?? '';
    asked.push(range);
    return answer({ range, ifRange: headers.get('If-Range') ?? '', at: Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? 0) }, asked.length);
  };
  return { client: new PlatenClient({ base: 'http://gateway', fetch: fetched, keys: await keys() }), asked, fetch: fetched };
}

/** A body that breaks off after these bytes. */
function breaking(bytes: Buffer): ReadableStream<Uint8Array> {
  let sent = false;
  return new ReadableStream({
    pull(controller) {
      if (sent) throw new TypeError('terminated');
      sent = true;
      controller.enqueue(new Uint8Array(bytes));
    },
  });
}

const bytes = (b: Buffer): Uint8Array<ArrayBuffer> => new Uint8Array(b);
const whole = (): Response => new Response(bytes(body), { headers: { ...head, 'Content-Length': `${length}` } });
const broken = (cut: number, more: Record<string, string> = {}): Response =>
  new Response(breaking(body.subarray(0, cut)), { headers: { ...head, 'Content-Length': `${length}`, ...more } });
/** The sealed bytes from one on, to the end or to where the page has grown. */
const part = (at: number, end?: number): Response =>
  new Response(bytes(body.subarray(at, end)), { status: 206, headers: { ...head, 'Content-Range': `bytes ${at}-${(end ?? length) - 1}/${end === undefined ? length : '*'}` } });

describe('downloadPage of a sealed page', () => {
  it('opens it', async () => {
    const { client, asked } = await gateway(whole);
    const progress: [number, number | undefined][] = [];
    const got = await client.downloadPage(page.of.object, 3, { digest: hex, onProgress: (n, of) => progress.push([n, of]) });
    expect(Buffer.compare(Buffer.from(got.bytes), image)).toBe(0);
    expect(got).toMatchObject({ type: 'image/jpeg', digest: hex, etag: sealedTag });
    expect(progress.at(-1)![1]).toBe(image.length);
    expect(asked).toEqual(['']);
    await expect(client.downloadPage(page.of.object, 3, { digest: '0'.repeat(64) })).rejects.toBeInstanceOf(DigestError);
  });

  it.each([1, 7, 65_551, 65_552, 65_553, 100_000, 131_104, length - 1])('goes on after %i bytes', async (cut) => {
    const { client, asked } = await gateway(({ range, ifRange, at }) => {
      if (!range) return broken(cut);
      expect(ifRange).toBe(sealedTag);
      return part(at);
    });
    expect((await client.downloadPage(page.of.object, 3)).digest).toBe(hex);
    expect(asked).toEqual(['', `bytes=${cut}-`]);
  });

  it('follows one that grows', async () => {
    const growing = new Response(breaking(body.subarray(0, 50_000)), { headers: head });
    const { client, asked } = await gateway((_ask, n) => [growing, part(50_000, 65_552), part(65_552, 131_104), part(131_104)][n - 1]!);
    expect((await client.downloadPage(page.of.object, 3)).digest).toBe(hex);
    expect(asked).toEqual(['', 'bytes=50000-', 'bytes=65552-', 'bytes=131104-']);
  });

  it('takes a stream that ends in order, and asks on after one that only seems to', async () => {
    const stream = await gateway(() => new Response(bytes(body), { headers: head }));
    expect((await stream.client.downloadPage(page.of.object, 3)).digest).toBe(hex);
    const cut = await gateway(({ range, at }) => (range ? part(at) : new Response(bytes(body.subarray(0, 131_110)), { headers: head })));
    expect((await cut.client.downloadPage(page.of.object, 3)).digest).toBe(hex);
    expect(cut.asked).toEqual(['', 'bytes=131110-']);
    const short = await gateway(({ range }) => {
      const refusal = { type: 'x', title: 'x', code: 'range-not-satisfiable', status: 416, retryable: false };
      if (range) return Response.json(refusal, { status: 416, headers: { 'Content-Type': 'application/problem+json' } });
      return new Response(bytes(body.subarray(0, 131_104)), { headers: head }); // without the final chunk
    });
    await expect(short.client.downloadPage(page.of.object, 3)).rejects.toMatchObject({ name: 'SealError', fault: 'damaged' });
  });

  it('refuses what was changed on its way, at once', async () => {
    const changed = Buffer.from(body);
    changed[70_000]! ^= 1;
    const { client, asked, fetch } = await gateway(() => new Response(bytes(changed), { headers: { ...head, 'Content-Length': `${length}` } }));
    await expect(client.downloadPage(page.of.object, 3)).rejects.toMatchObject({ fault: 'damaged' });
    await expect(client.downloadPage(page.of.object, 4)).rejects.toMatchObject({ fault: 'damaged' }); // another page than was asked for
    expect(asked).toHaveLength(2);
    const stranger = new PlatenClient({ base: 'http://gateway', fetch, keys: new MemoryKeys() });
    await expect(stranger.downloadPage(page.of.object, 3)).rejects.toMatchObject({ fault: 'key-lost' });
  });

  it('begins anew when the page is another attempt, or was sealed anew', async () => {
    const { client, asked } = await gateway((_ask, n) => (n > 1 ? whole() : broken(80_000, { ETag: sealedTag.replace('s-0', 's-1') })));
    expect((await client.downloadPage(page.of.object, 3)).digest).toBe(hex);
    expect(asked).toEqual(['', 'bytes=80000-']);
  });

  it('goes over from plain to sealed, and back, and keeps what is here', async () => {
    const all = { ...plainHead, ...repr, 'Content-Length': `${image.length}` };
    const toSealed = await gateway(({ ifRange, at }, n) => {
      if (n === 1) return new Response(breaking(image.subarray(0, 70_000)), { headers: all }); // a direct road
      if (n === 2) return whole(); // the gateway has it under another ETag
      expect(ifRange).toBe(sealedTag);
      return part(at);
    });
    expect((await toSealed.client.downloadPage(page.of.object, 3)).digest).toBe(hex);
    expect(toSealed.asked).toEqual(['', 'bytes=70000-', 'bytes=65552-']);

    const toPlain = await gateway(({ ifRange, at }, n) => {
      if (n === 1) return broken(70_000);
      if (n === 2) return new Response(bytes(image), { headers: all });
      expect(ifRange).toBe(plainTag);
      return new Response(bytes(image.subarray(at)), { status: 206, headers: { ...plainHead, ...repr, 'Content-Range': `bytes ${at}-${image.length - 1}/${image.length}` } });
    });
    expect((await toPlain.client.downloadPage(page.of.object, 3)).digest).toBe(hex);
    expect(toPlain.asked).toEqual(['', 'bytes=70000-', 'bytes=65536-']);
  });
});

describe('documentContent', () => {
  const content = vectors.good.find((v) => v.name === 'document')!;
  const type = { 'Content-Type': 'application/vnd.platen.sealed', 'Platen-Sealed': content.header, ETag: `"${content.of.version}.s-0123456789abcdef"` };

  async function client(cut: number, more: Record<string, string> = {}): Promise<PlatenClient> {
    const base = await serve((request, response) => {
      if (!request.url!.includes('/content')) return json(response, 200, { id: content.of.object, node: content.of.node });
      response.writeHead(200, { ...type, ...more }).end(sealedContent.subarray(0, cut));
    });
    return new PlatenClient({ base, keys: await keys() });
  }

  it('opens it', async () => {
    const response = await (await client(sealedContent.length)).documentContent(content.of.object);
    expect(response.headers.get('Content-Type')).toBe('application/pdf');
    expect(response.headers.get('Platen-Sealed')).toBeNull();
    expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), plaintext(content.plain))).toBe(0);
  });

  it('refuses what was cut, or is another format or document', async () => {
    const response = await (await client(sealedContent.length - 1)).documentContent(content.of.object);
    await expect(response.arrayBuffer()).rejects.toMatchObject({ fault: 'damaged' });
    const whole = await client(sealedContent.length);
    await expect(whole.documentContent(content.of.object, 'zip')).rejects.toMatchObject({ fault: 'damaged' });
    await expect(whole.documentContent(content.of.object.replace(/a$/, 'b'))).rejects.toMatchObject({ fault: 'damaged' });
  });

  it('answers what is not sealed as it is', async () => {
    const base = await serve((_request, response) => response.writeHead(200, { 'Content-Type': 'application/pdf' }).end('%PDF'));
    const response = await new PlatenClient({ base }).documentContent('d');
    expect(await response.text()).toBe('%PDF');
  });
});

describe('createJob', () => {
  afterEach(() => vi.unstubAllGlobals());

  async function service(encryption?: 'preferred' | 'required', refuses = false): Promise<{ client: PlatenClient; sent: string[] }> {
    const sent: string[] = [];
    const base = await serve((request, response, text) => {
      if (request.method === 'GET') return json(response, 200, scanner(encryption && !refuses ? { encryption } : {}));
      sent.push((JSON.parse(text) as { recipient?: string }).recipient ?? 'none');
      if (refuses && sent.at(-1) === 'none') problem(response, 403, 'encryption-required');
      else json(response, 201, job());
    });
    return { client: new PlatenClient({ base, keys: await keys() }), sent };
  }
  const id = scanner().id;
  const request = { settings: { source: 'adf' as const } };

  it.each([
    ['off', undefined, undefined, 'none'],
    ['off, wanted', undefined, true, vectors.recipient],
    ['preferred', 'preferred', undefined, vectors.recipient],
    ['preferred, not wanted', 'preferred', false, 'none'],
    ['required', 'required', undefined, vectors.recipient],
    ['required, not wanted', 'required', false, vectors.recipient],
  ] as const)('names this device: %s', async (_name, encryption, seal, want) => {
    const { client, sent } = await service(encryption);
    expect((await client.createJob(id, request, seal === undefined ? {} : { seal })).id).toBe(jobID);
    expect(sent).toEqual([want]);
    expect((await client.createJob(id, { ...request, recipient: 'mine' })).id).toBe(jobID);
    expect(sent.at(-1)).toBe('mine');
  });

  it('names it when the scanner has come to require it since', async () => {
    const { client, sent } = await service('required', true);
    await client.createJob(id, request);
    expect(sent).toEqual(['none', vectors.recipient]);
  });

  it('never sends without where it must not', async () => {
    vi.stubGlobal('crypto', { getRandomValues: (b: Uint8Array) => b }); // as on a page over plain HTTP
    for (const [encryption, seal] of [['required', undefined], ['required', false], [undefined, true]] as const) {
      const sent: string[] = [];
      const client = await insecure(encryption, sent);
      await expect(client.createJob(id, request, seal === undefined ? {} : { seal })).rejects.toMatchObject({ name: 'SealError', fault: 'insecure' });
      expect(sent).toEqual([]);
    }
    const sent: string[] = [];
    const client = await insecure('preferred', sent);
    await client.createJob(id, request);
    expect(sent).toEqual(['none']);
  });

  async function insecure(encryption: 'preferred' | 'required' | undefined, sent: string[]): Promise<PlatenClient> {
    const base = await serve((req, response, text) => {
      if (req.method === 'GET') return json(response, 200, scanner(encryption ? { encryption } : {}));
      sent.push((JSON.parse(text) as { recipient?: string }).recipient ?? 'none');
      json(response, 201, job());
    });
    return new PlatenClient({ base, keys: new MemoryKeys() });
  }

  it('tells what it opens', async () => {
    const { client } = await service();
    expect(await client.openable(job({ recipient: vectors.recipient }))).toBe(true);
    expect(await client.openable(job({ recipient: 'x' }))).toBe(false);
    expect(await client.openable(job())).toBe(true);
    expect(new SealError('damaged').message).toContain('damaged');
  });
});
