import { getEventListeners } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { ConnectionError, ProblemError } from '../src/index.js';
import type { Roads } from '../src/road/roads.js';
import type { Direct } from '../src/road/road.js';
import { random, sha256 } from './duplex.js';
import { deferred } from './server.js';
import { World } from './world.js';

const path = '/api/v1/jobs/j/pages/1';

const soon = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 8000, interval: 5 });

/** Fetches the page and checks that it is whole. */
async function page(world: World, roads: Roads, init: RequestInit = {}): Promise<Response> {
  const response = await roads.fetch(world.node.id, path, init);
  const bytes = Buffer.from(await response.arrayBuffer());
  expect(bytes.length).toBe(world.page.length);
  expect(sha256(bytes)).toBe(world.digest);
  return response;
}

const is = (world: World, roads: Roads, road: string, direct: Direct): Promise<void> =>
  soon(() => expect(roads.state(world.node.id)).toMatchObject({ road, direct }));

/** Roads of which one is open. */
async function opened(world: World, ...options: Parameters<World['roads']>): Promise<Roads> {
  const roads = world.roads(...options);
  roads.prepare(world.node.id);
  await soon(() => expect(roads.state(world.node.id).direct).toBe('open'));
  return roads;
}

describe('roads', () => {
  it('begin on the relay, open a direct road and use it', async () => {
    const world = await World.make();
    const roads = world.roads();
    const states: string[] = [];
    roads.onChange((node, { road, direct }) => states.push(`${node === world.node.id} ${road} ${direct}`));
    expect(roads.state(world.node.id)).toMatchObject({ road: 'relay', direct: 'idle' });
    await page(world, roads);
    await is(world, roads, 'webtransport', 'open');
    const response = await page(world, roads, { headers: { Authorization: 'Bearer x', Cookie: 'a=b', Accept: 'image/jpeg' } });
    expect(response.headers.get('Content-Type')).toBe('image/jpeg');
    expect(world.count('relay')).toBe(1);
    expect(world.count('webtransport')).toBe(1);
    expect(world.attempts).toEqual(['webtransport']);
    expect(states).toEqual(['true relay trying', 'true webtransport open']);
    // The session stays with the gateway.
    const sent = world.asked.filter(({ way }) => way === 'webtransport').at(-1)!.headers;
    expect(sent).toMatchObject({ accept: 'image/jpeg', host: 'node.platen.internal', connection: 'close' });
    expect(Object.keys(sent).sort()).toEqual(['accept', 'connection', 'host']);
  });

  it('send what changes something by way of the service', async () => {
    const world = await World.make(10);
    const roads = await opened(world);
    await roads.fetch(world.node.id, path, { method: 'POST' });
    expect(world.count('relay')).toBe(1);
    expect(world.count('webtransport')).toBe(0);
  });

  describe('race', () => {
    it('starts WebRTC a little later, and takes WebTransport all the same when it comes', async () => {
      const world = await World.make(10);
      const late = deferred();
      world.delay.webtransport = late.promise;
      const roads = world.roads({ times: { budget: 5000 } });
      roads.prepare(world.node.id);
      await is(world, roads, 'webrtc', 'open');
      expect(world.attempts).toEqual(['webtransport', 'webrtc']);
      await page(world, roads);
      expect(world.count('webrtc')).toBe(1);
      late.resolve();
      await is(world, roads, 'webtransport', 'open');
      expect([...world.open].map(({ kind }) => kind)).toEqual(['webtransport']);
    });

    it('goes to WebRTC at once when WebTransport fails', async () => {
      const world = await World.make(10);
      world.faults.webtransport.dead = true;
      const roads = await opened(world, { times: { stagger: 5000, budget: 5000 } });
      expect(roads.state(world.node.id).road).toBe('webrtc');
    });

    it('ends with its budget, and closes what opens after it', async () => {
      const world = await World.make(10);
      const late = deferred();
      world.delay = { webtransport: late.promise, webrtc: late.promise };
      const roads = world.roads();
      await page(world, roads);
      await is(world, roads, 'relay', 'unreachable');
      late.resolve();
      await page(world, roads);
      expect(world.open.size).toBe(0);
      expect(world.attempts).toHaveLength(2);
    });

    it('takes no road on which the node does not take the grant', async () => {
      const world = await World.make(10);
      world.faults.webtransport.silent = true;
      const roads = await opened(world);
      expect(roads.state(world.node.id).road).toBe('webrtc');
      await soon(() => expect(world.open.size).toBe(1));
    });

    it('leaves out the kinds that are not wanted', async () => {
      const world = await World.make(10);
      expect((await opened(world, { kinds: ['webrtc'] })).state(world.node.id).road).toBe('webrtc');
      expect(world.attempts).toEqual(['webrtc']);
    });
  });

  describe('what is missing', () => {
    it.each<[string, Direct, (world: World) => void]>([
      ['a node without roads', 'not-offered', (w) => (w.statement = async () => undefined)],
      ['a node instead of a gateway', 'not-offered', (w) => (w.refuses = new ProblemError({ type: '', status: 404, code: 'not-found', title: 'No.', retryable: false }))],
      ['a statement without addresses', 'not-offered', (w) => (w.statement = () => w.says({ webtransport: [], fingerprint: undefined }))],
      ['a service that does not answer', 'unreachable', (w) => (w.refuses = new ConnectionError(new Error('lost')))],
      ['a statement that ran out', 'unverified', (w) => (w.statement = () => w.says({ exp: '2020-01-01T00:00:00Z' }))],
      ['a statement of another node', 'unverified', (w) => (w.statement = async () => (await World.make(1)).says())],
      ['a statement for another node', 'unverified', (w) => (w.statement = async () => w.node.sign({ node: w.node.id }, 'platen-roads/1', 'another'))],
      ['a statement that was changed', 'unverified', (w) => (w.statement = async () => (await w.says()).replace(/^(.{40})./, '$1A'))],
    ])('%s: %s, and the relay carries', async (_name, direct, change) => {
      const world = await World.make(1000);
      change(world);
      const roads = world.roads();
      await page(world, roads);
      await is(world, roads, 'relay', direct);
      await page(world, roads);
      expect(world.attempts).toEqual([]);
      expect(world.count('relay')).toBe(2);
    });

    it('an insecure context, or a browser without roads, does not even ask', async () => {
      const world = await World.make(10);
      const insecure = world.roads({}, { secure: () => false });
      await page(world, insecure);
      await is(world, insecure, 'relay', 'insecure');
      const old = world.roads({}, { webtransport: undefined, webrtc: undefined });
      await page(world, old);
      await is(world, old, 'relay', 'unreachable');
      expect(world.grants).toBe(0);
    });
  });

  describe('a failure', () => {
    it('before the headers is repeated on the relay', async () => {
      const world = await World.make();
      const roads = await opened(world);
      world.faults.webtransport.dead = true;
      await page(world, roads);
      expect(world.count('relay')).toBe(1);
      await soon(() => expect(roads.state(world.node.id).road).not.toBe('webtransport'));
    });

    it.each([401, 403, 404, 500, 503])('of status %i is asked of the relay', async (status) => {
      const world = await World.make(100);
      const roads = await opened(world);
      world.faults.webtransport.status = status;
      await page(world, roads);
      expect([world.count('webtransport'), world.count('relay')]).toEqual([1, 1]);
    });

    it.each([304, 409, 410, 416])('no: status %i is an answer', async (status) => {
      const world = await World.make(100);
      const roads = await opened(world);
      world.faults.webtransport.status = status;
      expect((await roads.fetch(world.node.id, path)).status).toBe(status);
      expect(world.count('relay')).toBe(0);
    });

    it('in the middle of a body is not seen, wherever it is', async () => {
      const world = await World.make(90_000);
      const roads = await opened(world, { times: { check: 10_000, stall: 10_000 } });
      const rnd = random(11);
      for (let i = 0; i < 200; i++) {
        const cut = rnd(4) === 0 ? [0, 1, world.page.length - 1][rnd(3)]! : rnd(world.page.length);
        const both = rnd(3) === 0;
        world.faults.webtransport.cut = cut;
        world.faults.relay.cut = both ? rnd(20_000) : undefined;
        const start = rnd(3) === 0 ? rnd(1000) : 0;
        const response = await roads.fetch(world.node.id, path, start > 0 ? { headers: { Range: `bytes=${start}-` } } : {});
        const bytes = Buffer.from(await response.arrayBuffer());
        const want = world.page.subarray(start);
        expect(Buffer.compare(bytes, want), `cut at ${cut}, from ${start}`).toBe(0);
        world.faults.relay.cut = undefined;
        await is(world, roads, 'webtransport', 'open'); // one exchange broke, not the road
      }
      const resumed = world.asked.filter(({ headers }) => headers['if-range']);
      expect(resumed.length).toBeGreaterThan(150);
      expect(resumed.every(({ headers }) => headers['if-range'] === '"page-1"')).toBe(true);
    });

    it('of the relay in the middle of a body goes on directly', async () => {
      const world = await World.make();
      const roads = await opened(world);
      world.faults.webtransport.status = 503; // so that the relay answers
      world.faults.relay.cut = 100_000;
      const response = await roads.fetch(world.node.id, path);
      world.faults.webtransport.status = undefined;
      expect(sha256(Buffer.from(await response.arrayBuffer()))).toBe(world.digest);
      expect([world.count('relay'), world.count('webtransport')]).toEqual([1, 2]);
    });

    it('of a body without ranges goes on after the bytes that are there', async () => {
      const world = await World.make();
      world.ranges = false;
      const roads = await opened(world);
      for (const cut of [0, 5, 100_000, world.page.length - 1]) {
        world.faults.webtransport.cut = cut;
        await page(world, roads);
      }
      expect(world.count('relay')).toBe(4);
    });

    it('is the caller’s when the bytes are of something else now', async () => {
      const world = await World.make();
      const roads = await opened(world);
      world.faults.webtransport.cut = 50_000;
      const response = await roads.fetch(world.node.id, path);
      world.etag = '"page-2"';
      await expect(response.arrayBuffer()).rejects.toThrow();
    });

    it('is the caller’s while a page grows', async () => {
      const world = await World.make();
      const roads = await opened(world);
      world.growing = true;
      world.faults.webtransport.cut = 50_000;
      await expect(roads.fetch(world.node.id, path).then((r) => r.arrayBuffer())).rejects.toThrow();
      expect(world.count('relay')).toBe(0);
    });

    it('of both ways at once is the caller’s, before and in the body', async () => {
      const world = await World.make();
      const roads = await opened(world);
      world.faults.webtransport.cut = 50_000;
      const response = await roads.fetch(world.node.id, path);
      world.faults.relay.dead = true;
      world.faults.webtransport.dead = true;
      await expect(response.arrayBuffer()).rejects.toThrow('broke off');
      await expect(roads.fetch(world.node.id, path)).rejects.toThrow(TypeError);
      world.faults.relay.dead = false;
      await page(world, roads);
    });

    it('of a whole road moves its bodies, and another one is built', async () => {
      const world = await World.make(3_000_000);
      const roads = await opened(world);
      world.faults.webtransport.pace = 2000;
      const bodies = Array.from({ length: 4 }, () => page(world, roads));
      await soon(() => expect(world.count('webtransport')).toBe(4));
      for (const road of world.open) road.close();
      await Promise.all(bodies);
      await is(world, roads, 'webtransport', 'open');
      expect(world.attempts).toHaveLength(2);
    });
  });

  describe('silence', () => {
    it('of a road while the relay answers: the road is left, before and in a body', async () => {
      for (const inBody of [false, true]) {
        const world = await World.make(2_000_000);
        const roads = await opened(world, { kinds: ['webtransport'] });
        let response: Promise<Response> | undefined;
        if (inBody) {
          world.faults.webtransport.pace = 1000;
          response = Promise.resolve(await roads.fetch(world.node.id, path));
        }
        world.faults.webtransport.silent = true;
        const bytes = Buffer.from(await (await (response ?? roads.fetch(world.node.id, path))).arrayBuffer());
        expect(sha256(bytes)).toBe(world.digest);
        expect(roads.state(world.node.id).road).toBe('relay');
        world.faults.webtransport.silent = false;
      }
    });

    it('of the scanner is no silence of the road', async () => {
      const world = await World.make();
      const roads = await opened(world);
      world.growing = true;
      const reader = (await roads.fetch(world.node.id, path)).body!.getReader();
      let got = 0;
      while (got < world.page.length) got += (await reader.read()).value!.length;
      const rest = reader.read(); // nothing comes for a while
      await soon(() => expect(world.count('webtransport', '/service')).toBeGreaterThan(2));
      expect(roads.state(world.node.id)).toMatchObject({ road: 'webtransport', direct: 'open' });
      world.growing = false;
      await new Promise(setImmediate); // until it is asked for
    await reader.cancel();
      await rest;
    });

    it('of both is waited out', async () => {
      const world = await World.make();
      const roads = await opened(world);
      world.faults.webtransport.silent = world.faults.relay.silent = true;
      const abort = new AbortController();
      const answer = roads.fetch(world.node.id, path, { signal: abort.signal });
      await soon(() => expect(world.count('relay', '/service')).toBeGreaterThan(1));
      abort.abort(new Error('enough'));
      await expect(answer).rejects.toThrow('enough');
    });
  });

  it('let go of the signal when the body has ended, or nothing comes', async () => {
    const world = await World.make(300_000);
    const roads = await opened(world);
    const { signal } = new AbortController();
    await page(world, roads, { signal });
    world.faults.webtransport.cut = 1000;
    await page(world, roads, { signal });
    await (await roads.fetch(world.node.id, path, { signal })).body!.cancel();
    world.faults.relay.cut = world.faults.webtransport.cut = 1000;
    const broken = await roads.fetch(world.node.id, path, { signal });
    world.faults.relay.dead = world.faults.webtransport.dead = true;
    await expect(broken.arrayBuffer()).rejects.toThrow();
    await expect(roads.fetch(world.node.id, path, { signal })).rejects.toThrow();
    await soon(() => expect(getEventListeners(signal, 'abort')).toEqual([]));
  });

  it('stop when the body is given up while bytes are waited for', async () => {
    const world = await World.make(3_000_000);
    const roads = await opened(world);
    world.faults.webtransport.pace = 200;
    const response = await roads.fetch(world.node.id, path, {});
    const reader = response.body!.getReader();
    await reader.read();
    const waiting = reader.read();
    await new Promise(setImmediate); // until it is asked for
    await reader.cancel();
    expect((await waiting).done).toBe(true);
    world.faults.webtransport.pace = undefined;
    await page(world, roads);
    expect([world.count('webtransport'), world.count('relay')]).toEqual([2, 0]);
    expect(roads.state(world.node.id)).toMatchObject({ road: 'webtransport', direct: 'open' });
  });

  it('stop at an abort, before and in a body, on every way', async () => {
    const world = await World.make(4_000_000);
    for (const kind of ['relay', 'webtransport'] as const) {
      const roads = kind === 'relay' ? world.roads({}, { secure: () => false }) : await opened(world, { kinds: [kind] });
      world.faults[kind].pace = 1000;
      const abort = new AbortController();
      const reader = (await roads.fetch(world.node.id, path, { signal: abort.signal })).body!.getReader();
      await reader.read();
      const reason = new Error('enough');
      abort.abort(reason);
      await expect(soon(() => {}).then(async () => { for (;;) if ((await reader.read()).done) return; })).rejects.toBe(reason);
      await expect(roads.fetch(world.node.id, path, { signal: abort.signal })).rejects.toBe(reason);
    }
    expect(world.count('relay')).toBeLessThanOrEqual(2);
  });
});
