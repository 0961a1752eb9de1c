import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MemoryKeys, SealError } from '../src/index.js';
import { ChunkOpener, openBody, plainSize } from '../src/seal/chunks.js';
import { DeviceKey } from '../src/seal/device.js';
import { fromBase64URL, parseSealed, parseTag } from '../src/seal/header.js';
import { unwrap, type OwnKey } from '../src/seal/hpke.js';
import { Sealing } from '../src/seal.js';
import { bodyOf, devicePair, plaintext, vectors, type Edit } from './sealed.js';

async function own(): Promise<OwnKey> {
  return { private: (await devicePair()).privateKey, point: fromBase64URL(vectors.recipient)! };
}

async function openAll(opener: ChunkOpener, body: Uint8Array, piece: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += piece) parts.push(...(await Promise.all(opener.take(body.subarray(at, at + piece)))));
  parts.push(await opener.end());
  return Buffer.concat(parts);
}

/** Opens as far as it goes. */
async function opens(key: CryptoKey, body: Uint8Array): Promise<{ bytes: Buffer; error: unknown }> {
  const parts: Uint8Array[] = [];
  const stream = openBody(new Blob([body as Uint8Array<ArrayBuffer>]).stream(), key);
  try {
    for await (const part of stream) parts.push(part);
    return { bytes: Buffer.concat(parts), error: undefined };
  } catch (error) {
    return { bytes: Buffer.concat(parts), error };
  }
}

async function edited(name: string, edits: Edit[]): Promise<Uint8Array> {
  let body = await bodyOf(name);
  const chunk = 65_552;
  for (const e of edits) {
    if (e.flip !== undefined) body[e.flip]! ^= 1;
    if (e.cut !== undefined) body = body.slice(0, e.cut);
    if (e.append !== undefined) body = new Uint8Array([...body, ...new Uint8Array(e.append)]);
    if (e.chunks) {
      const parts = [];
      for (const c of e.chunks) parts.push((c.from ? await bodyOf(c.from) : body).slice(c.chunk * chunk, (c.chunk + 1) * chunk));
      body = new Uint8Array(Buffer.concat(parts));
    }
  }
  return body;
}

describe('the format', () => {
  it.each(vectors.good)('opens what the node sealed: $name', async (v) => {
    const header = parseSealed(v.header);
    expect(header.type).toBe(v.type);
    const key = await unwrap(await own(), v.of, header);
    const body = await bodyOf(v.name);
    expect(createHash('sha256').update(body).digest('hex')).toBe(v.sha256);
    expect(plainSize(body.length)).toBe(v.plain);
    for (const piece of [1 << 20, 65_552, 10_007]) {
      const opener = new ChunkOpener(key);
      expect(Buffer.compare(await openAll(opener, body, piece), plaintext(v.plain))).toBe(0);
    }
  });

  it.each(vectors.hostile)('refuses: $name', async ({ of, edits, opens: good }) => {
    const v = vectors.good.find((g) => g.name === of)!;
    const key = await unwrap(await own(), v.of, parseSealed(v.header));
    const { bytes, error } = await opens(key, await edited(of, edits));
    expect(error).toMatchObject({ name: 'SealError', fault: 'damaged' });
    expect(bytes.length).toBeLessThanOrEqual(good);
    expect(Buffer.compare(bytes, plaintext(v.plain).subarray(0, bytes.length))).toBe(0);
  });

  it.each(vectors.malformed)('refuses the header %j', (text) => {
    expect(() => parseSealed(text)).toThrow(SealError);
  });

  it('refuses a key under another name, of another type, or with another byte', async () => {
    const v = vectors.good.find((g) => g.name === 'short')!;
    const header = parseSealed(v.header);
    const me = await own();
    for (const part of ['node', 'object', 'part', 'version', 'form'] as const) {
      await expect(unwrap(me, { ...v.of, [part]: `${v.of[part]}1` }, header)).rejects.toMatchObject({ fault: 'damaged' });
    }
    await expect(unwrap(me, v.of, { ...header, type: 'text/html' })).rejects.toMatchObject({ fault: 'damaged' });
    for (let i = 0; i < header.key.length; i += 7) {
      const key = header.key.slice();
      key[i]! ^= 1;
      await expect(unwrap(me, v.of, { ...header, key })).rejects.toMatchObject({ fault: 'damaged' });
    }
    const stranger = await new DeviceKey(new MemoryKeys()).recipient();
    expect(stranger).not.toBe(vectors.recipient);
  });

  it('reads ETags', () => {
    expect(parseTag('"a-p1"')).toEqual({ version: 'a-p1', form: '', sealed: false });
    expect(parseTag('"a-p1.png"')).toEqual({ version: 'a-p1', form: 'png', sealed: false });
    expect(parseTag('"a-p1.s-0123456789abcdef"')).toEqual({ version: 'a-p1', form: '', sealed: true });
    expect(parseTag('"a-p1.jpeg-w240.s-0123456789abcdef"')).toEqual({ version: 'a-p1', form: 'jpeg-w240', sealed: true });
    for (const bad of [null, '', 'W/"a"', '"a.b.c"', '"a', '""']) expect(parseTag(bad)).toBeUndefined();
  });
});

describe('openBody', () => {
  it('reads no further than it is read', async () => {
    const v = vectors.good.find((g) => g.name === 'long')!;
    const key = await unwrap(await own(), v.of, parseSealed(v.header));
    const body = await bodyOf('long');
    let pulled = 0;
    let canceled: unknown;
    const source = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          controller.enqueue(body.subarray(pulled, pulled + 1000));
          pulled += 1000;
        },
        cancel: (reason) => void (canceled = reason),
      },
      { highWaterMark: 0 },
    );
    const reader = openBody(source, key).getReader();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(pulled).toBe(0);
    expect((await reader.read()).value).toHaveLength(65_536);
    expect(pulled).toBe(67_000); // and the next piece meanwhile
    await reader.cancel('enough');
    expect(canceled).toBe('enough');
  });
});

describe('Sealing', () => {
  const page = vectors.good.find((g) => g.name === 'short')!;
  const small = vectors.good.find((g) => g.name === 'rendition')!;
  const answer = (v = page, more: Record<string, string> = {}) => {
    const form = v.of.form && `.${v.of.form}`;
    return new Response('x', { headers: { 'Content-Type': 'application/vnd.platen.sealed', 'Platen-Sealed': v.header, ETag: `"${v.of.version}${form}.s-0123456789abcdef"`, ...more } });
  };
  const asked = { kind: 'page', job: page.of.object, n: 3, format: undefined, width: undefined } as const;

  async function device(node = page.of.node): Promise<Sealing> {
    const keys = new MemoryKeys();
    await keys.keep(await devicePair());
    return new Sealing(keys, () => Promise.resolve(node));
  }

  it('opens what was asked for and nothing else', async () => {
    const sealing = await device();
    expect(await sealing.opening(answer(), asked)).toMatchObject({ type: 'image/jpeg' });
    expect(await sealing.opening(answer(), { ...asked, format: 'jpeg' })).toMatchObject({ type: 'image/jpeg' });
    expect(await sealing.opening(answer(), { ...asked, width: 4000 })).toMatchObject({ type: 'image/jpeg' });
    expect(await sealing.opening(answer(small), { ...asked, width: 240 })).toMatchObject({ type: 'image/jpeg' });
    const damaged: [Response, typeof asked | object][] = [
      [answer(), { ...asked, n: 2 }],
      [answer(), { ...asked, format: 'png' }],
      [answer(), { ...asked, job: page.of.object.replace('-j', '-k') }],
      [answer(small), asked],
      [answer(small), { ...asked, width: 241 }],
      [answer(small), { ...asked, format: 'jpeg' }],
      [answer(page, { ETag: `"${page.of.version}"` }), asked],
      [answer(page, { ETag: '"x.s-0123456789abcdef"' }), asked],
      [answer(page, { 'Platen-Sealed': page.header.replace('image/jpeg', 'image/png') }), asked],
      [answer(page, { 'Platen-Sealed': page.header.replace('image/jpeg', 'text/html') }), asked],
      [answer(vectors.good.find((g) => g.name === 'other page')), asked],
    ];
    for (const [response, what] of damaged) {
      await expect(sealing.opening(response, what as typeof asked)).rejects.toMatchObject({ name: 'SealError', fault: 'damaged' });
    }
    await expect((await device(`${page.of.node}x`)).opening(answer(), asked)).rejects.toMatchObject({ fault: 'damaged' });
    await expect((await device('zz')).opening(answer(), asked)).rejects.toMatchObject({ fault: 'damaged' });
  });

  it('says whose fault it is', async () => {
    const none = new Sealing(new MemoryKeys(), () => Promise.resolve(page.of.node));
    await expect(none.opening(answer(), asked)).rejects.toMatchObject({ fault: 'key-lost' });
    const recipient = await none.recipient('required', undefined);
    expect(recipient).toMatch(/^[A-Za-z0-9_-]{87}$/);
    expect(await none.recipient('preferred', undefined)).toBe(recipient);
    await expect(none.opening(answer(), asked)).rejects.toMatchObject({ fault: 'other-device' });
    const broken = new Sealing({ load: () => Promise.reject(new SealError('no-key-store')), keep: () => Promise.reject(new SealError('no-key-store')) }, () => Promise.resolve(''));
    expect(await broken.recipient('preferred', undefined)).toBeUndefined();
    await expect(broken.recipient('required', undefined)).rejects.toMatchObject({ fault: 'no-key-store' });
    await expect(broken.recipient(undefined, true)).rejects.toMatchObject({ fault: 'no-key-store' });
  });

  it('knows which jobs it opens', async () => {
    const sealing = await device();
    const job = { recipient: vectors.recipient } as Parameters<Sealing['openable']>[0];
    expect(await sealing.openable(job)).toBe(true);
    expect(await sealing.openable({ ...job, recipient: vectors.recipient.split('').reverse().join('') })).toBe(false);
    const { recipient: _, ...plain } = job;
    const none = new Sealing(new MemoryKeys(), () => Promise.resolve(''));
    expect(await none.openable(plain as typeof job)).toBe(true);
    expect(await none.openable(job)).toBe(false);
  });
});

it('has one key for all who ask at once', async () => {
  const keys = new MemoryKeys();
  const [a, b] = [new DeviceKey(keys), new DeviceKey(keys)];
  const all = await Promise.all([a.recipient(), b.recipient(), a.recipient(), b.recipient()]);
  expect(new Set(all).size).toBe(1);
  const pair = (await keys.load())!;
  expect(pair.privateKey.extractable).toBe(false);
});
