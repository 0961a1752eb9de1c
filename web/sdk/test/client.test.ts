import { describe, expect, it } from 'vitest';
import { ConnectionError, PlatenClient, ProblemError, collect } from '../src/index.js';
import { job, jobID, json, problem, scanner, serve } from './server.js';

describe('PlatenClient', () => {
  it('keeps the Idempotency-Key over a lost answer and a passing refusal', async () => {
    const keys: (string | undefined)[] = [];
    const bodies: string[] = [];
    const base = await serve((request, response, body) => {
      if (request.method === 'GET') return json(response, 200, scanner());
      keys.push(request.headers['idempotency-key'] as string);
      bodies.push(body);
      if (keys.length === 1) request.socket.destroy();
      else if (keys.length === 2) problem(response, 503, 'unavailable');
      else json(response, 201, job());
    });
    const got = await new PlatenClient({ base }).createJob('abcdefghijklmnop-saaaaaaaaaaaaaaaaaaaa', { settings: { source: 'adf' } });
    expect(got.id).toBe(jobID);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[!-~]{16,128}$/);
    expect(new Set(bodies)).toEqual(new Set(['{"settings":{"source":"adf"}}']));
  });

  it('uses another key for another intent', async () => {
    const keys = new Set<unknown>();
    const base = await serve((request, response) => {
      if (request.method === 'GET') return json(response, 200, scanner());
      keys.add(request.headers['idempotency-key']);
      json(response, 201, job());
    });
    const client = new PlatenClient({ base });
    await client.createJob('s', { settings: {} });
    await client.createJob('s', { settings: {} });
    expect(keys.size).toBe(2);
  });

  it.each([
    ['queue-full', 503],
    ['scanner-offline', 503],
    ['settings-unsupported', 422],
  ])('does not repeat %s by itself', async (code, status) => {
    let requests = 0;
    const base = await serve((request, response) => {
      if (request.method === 'GET') return json(response, 200, scanner());
      requests++;
      problem(response, status, code, { field: 'settings.source', detail: 'no feeder', next: 'Change it.' });
    });
    const error = await new PlatenClient({ base }).createJob('s', { settings: {} }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ProblemError);
    expect(error).toMatchObject({ code, status, field: 'settings.source', detail: 'no feeder', next: 'Change it.' });
    expect(requests).toBe(1);
  });

  it('never repeats the redeeming of a code', async () => {
    let requests = 0;
    const base = await serve((request) => {
      requests++;
      request.socket.destroy();
    });
    await expect(new PlatenClient({ base }).createSession({ code: '12345678' })).rejects.toBeInstanceOf(ConnectionError);
    expect(requests).toBe(1);
  });

  it('makes a problem of an answer that is none', async () => {
    const base = await serve((_request, response) => response.writeHead(502, { 'Content-Type': 'text/html' }).end('<h1>Bad gateway</h1>'));
    await expect(new PlatenClient({ base }).service()).rejects.toMatchObject({ name: 'ProblemError', status: 502, code: 'unavailable', retryable: true });
  });

  it('sends the bearer token of now and escapes what is put in paths', async () => {
    const seen: string[] = [];
    const base = await serve((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      json(response, 200, { items: [] });
    });
    let token = 'one';
    const client = new PlatenClient({ base: `${base}/`, token: () => token });
    await client.jobs({ limit: 5, state: 'processing' });
    token = 'two';
    await client.pages('a/../b?c');
    expect(seen).toEqual(['GET /api/v1/jobs?limit=5&state=processing Bearer one', 'GET /api/v1/jobs/a%2F..%2Fb%3Fc/pages Bearer two']);
    expect(client.pageURL('j', 3, { width: 240 })).toBe(`${base}/api/v1/jobs/j/pages/3?width=240`);
    expect(client.documentContentURL('d', { format: 'pdf', download: true })).toBe(`${base}/api/v1/documents/d/content?format=pdf&download=true`);
  });

  it('knows the clock of the service', async () => {
    const date = new Date(Date.now() + 3_600_000);
    const base = await serve((_request, response) => {
      response.setHeader('Date', date.toUTCString());
      json(response, 200, { product: 'platen', api: '1' });
    });
    const client = new PlatenClient({ base });
    await client.service();
    expect(Math.abs(client.now() - date.getTime())).toBeLessThan(3000);
  });

  it('lets an abort be an abort', async () => {
    const base = await serve(() => {});
    const stop = new AbortController();
    const answer = new PlatenClient({ base }).service(stop.signal);
    stop.abort();
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('collect', () => {
  it('walks to the end and is not caught in a circle', async () => {
    const parts: Record<string, { items: number[]; next?: string }> = {
      '': { items: [1, 2], next: 'a' },
      a: { items: [3], next: 'b' },
      b: { items: [4], next: 'a' },
    };
    expect(await collect(async ({ cursor = '' }) => parts[cursor]!)).toEqual([1, 2, 3, 4]);
  });
});
