import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DigestError, PlatenClient, ProblemError } from '../src/index.js';
import { problem, serve } from './server.js';

const image = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7 + (i >> 9)) & 0xff));
const hex = createHash('sha256').update(image).digest('hex');
const repr = { 'Repr-Digest': `sha-256=:${createHash('sha256').update(image).digest('base64')}:` };
const head = { 'Content-Type': 'image/jpeg', ETag: '"one"' };

function range(header: string | undefined): { from: number; to: number | undefined } | undefined {
  const m = /^bytes=(\d+)-(\d*)$/.exec(header ?? '');
  return m ? { from: Number(m[1]), to: m[2] ? Number(m[2]) : undefined } : undefined;
}

describe('downloadPage', () => {
  it('takes a committed page in one request', async () => {
    let requests = 0;
    const base = await serve((_request, response) => {
      requests++;
      response.writeHead(200, { ...head, ...repr, 'Content-Length': image.length }).end(image);
    });
    const progress: number[] = [];
    const got = await new PlatenClient({ base }).downloadPage('j', 1, { onProgress: (n) => progress.push(n) });
    expect(Buffer.compare(Buffer.from(got.bytes), image)).toBe(0);
    expect(got).toMatchObject({ type: 'image/jpeg', etag: '"one"', digest: hex });
    expect(progress.at(-1)).toBe(image.length);
    expect(requests).toBe(1);
  });

  it('takes a rendition, which has no digest, in one request', async () => {
    let requests = 0;
    const base = await serve((request, response) => {
      requests++;
      expect(request.url).toBe('/api/v1/jobs/j/pages/1?width=240');
      response.writeHead(200, { ...head, 'Cache-Control': 'private, max-age=86400, immutable', 'Content-Length': image.length }).end(image);
    });
    const blob = await new PlatenClient({ base }).pageImage('j', 1, { width: 240 });
    expect([blob.size, blob.type, requests]).toEqual([image.length, 'image/jpeg', 1]);
  });

  it('continues where the connection broke, with If-Range', async () => {
    const asked: (string | undefined)[] = [];
    const base = await serve((request, response) => {
      asked.push(request.headers.range);
      const r = range(request.headers.range);
      if (!r) {
        response.writeHead(200, { ...head, ...repr, 'Content-Length': image.length });
        response.write(image.subarray(0, 30_000), () => request.socket.destroy());
        return;
      }
      expect(request.headers['if-range']).toBe('"one"');
      response.writeHead(206, { ...head, ...repr, 'Content-Range': `bytes ${r.from}-${image.length - 1}/${image.length}` });
      if (asked.length === 2) response.write(image.subarray(r.from, r.from + 20_000), () => request.socket.destroy());
      else response.end(image.subarray(r.from));
    });
    const got = await new PlatenClient({ base }).downloadPage('j', 1);
    expect(got.digest).toBe(hex);
    expect(asked).toEqual([undefined, 'bytes=30000-', 'bytes=50000-']);
  });

  it('follows a page that grows, and asks for the digest once it is committed', async () => {
    const asked: (string | undefined)[] = [];
    const base = await serve((request, response) => {
      asked.push(request.headers.range);
      const r = range(request.headers.range);
      switch (asked.length) {
        case 1: // growing: the stream breaks
          response.writeHead(200, head);
          response.write(image.subarray(0, 10_000), () => request.socket.destroy());
          break;
        case 2: // growing: what there is
          response.writeHead(206, { ...head, 'Content-Range': 'bytes 10000-59999/*' }).end(image.subarray(10_000, 60_000));
          break;
        case 3: // committed
          response.writeHead(206, { ...head, ...repr, 'Content-Range': `bytes 60000-99999/100000` }).end(image.subarray(60_000));
          break;
        default:
          throw new Error(`asked for ${r?.from}`);
      }
    });
    const got = await new PlatenClient({ base }).downloadPage('j', 1);
    expect(got.digest).toBe(hex);
    expect(asked).toEqual([undefined, 'bytes=10000-', 'bytes=60000-']);
  });

  it('confirms a stream that ended well with one byte', async () => {
    const asked: (string | undefined)[] = [];
    const base = await serve((request, response) => {
      asked.push(request.headers.range);
      if (asked.length === 1) response.writeHead(200, head).end(image);
      else response.writeHead(206, { ...head, ...repr, 'Content-Range': 'bytes 0-0/100000' }).end(image.subarray(0, 1));
    });
    expect((await new PlatenClient({ base }).downloadPage('j', 1)).digest).toBe(hex);
    expect(asked).toEqual([undefined, 'bytes=0-0']);
  });

  it('begins anew when the page is another attempt', async () => {
    let requests = 0;
    const base = await serve((request, response) => {
      if (++requests === 1) {
        response.writeHead(200, { ...head, ETag: '"failed"' });
        response.write(Buffer.alloc(5000, 1), () => request.socket.destroy());
      } else response.writeHead(200, { ...head, ...repr, 'Content-Length': image.length }).end(image);
    });
    const got = await new PlatenClient({ base }).downloadPage('j', 1);
    expect(got.digest).toBe(hex);
    expect(got.etag).toBe('"one"');
  });

  it('refuses bytes that are not those that were stored', async () => {
    const base = await serve((_request, response) => {
      const damaged = Buffer.from(image);
      damaged[500]! ^= 1;
      response.writeHead(200, { ...head, ...repr, 'Content-Length': image.length }).end(damaged);
    });
    await expect(new PlatenClient({ base }).downloadPage('j', 1)).rejects.toBeInstanceOf(DigestError);
  });

  it('gives up on what does not come back', async () => {
    const base = await serve((_request, response) => problem(response, 410, 'page-lost'));
    await expect(new PlatenClient({ base }).downloadPage('j', 1)).rejects.toBeInstanceOf(ProblemError);
    let requests = 0;
    const dead = await serve((request) => {
      requests++;
      request.socket.destroy();
    });
    await expect(new PlatenClient({ base: dead }).downloadPage('j', 1, { retries: 2 })).rejects.toMatchObject({ name: 'ConnectionError' });
    expect(requests).toBe(2);
  });
});
