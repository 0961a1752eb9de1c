import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Roads } from '../src/road/roads.js';
import type { Direct } from '../src/road/road.js';
import { Verdicts } from '../src/road/verdicts.js';
import { Meter } from '../src/road/measure.js';
import { ConnectionError } from '../src/index.js';
import { sha256 } from './duplex.js';
import { World } from './world.js';

const path = '/api/v1/jobs/j/pages/1';

const soon = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 8000, interval: 5 });

async function page(world: World, roads: Roads): Promise<void> {
  const response = await roads.fetch(world.node.id, path);
  expect(sha256(Buffer.from(await response.arrayBuffer()))).toBe(world.digest);
}

async function opened(world: World, ...options: Parameters<World['roads']>): Promise<Roads> {
  const roads = world.roads(...options);
  roads.prepare(world.node.id);
  await is(world, roads, 'open');
  return roads;
}

const is = (world: World, roads: Roads, direct: Direct): Promise<void> => soon(() => expect(roads.state(world.node.id).direct).toBe(direct));

/** A Storage. */
function memory(): Storage {
  const kept = new Map<string, string>();
  return { getItem: (k: string) => kept.get(k) ?? null, setItem: (k: string, v: string) => void kept.set(k, v) } as unknown as Storage;
}

describe('verdicts', () => {
  it('keep a kind that failed from being tried again from the same network', async () => {
    const world = await World.make(10);
    world.faults.webtransport.dead = true;
    const store = memory();
    const roads = await opened(world, {}, { store });
    expect(world.attempts).toEqual(['webtransport', 'webrtc']);

    const again = await opened(world, {}, { store }); // the page was loaded anew
    expect(world.attempts).toEqual(['webtransport', 'webrtc', 'webrtc']);

    world.network = 'office';
    world.faults.webtransport.dead = false;
    const office = await opened(world, {}, { store });
    expect(office.state(world.node.id).road).toBe('webtransport');

    world.network = 'home';
    world.woken(true); // another network: what failed may open now
    const home = await opened(world, {}, { store: memory() });
    expect(home.state(world.node.id).road).toBe('webtransport');
    for (const r of [roads, again]) r.close();
  });

  it('end in time, also where the clock was set back', async () => {
    const world = await World.make(10);
    world.faults.webtransport.dead = world.faults.webrtc.dead = true;
    const store = memory();
    const day = vi.spyOn(Date, 'now');
    onTestFinished(() => day.mockRestore());
    const begun = Date.now() - performance.now();
    day.mockImplementation(() => begun + performance.now() + 24 * 3600_000); // a clock that is a day fast
    const before = world.roads({}, { store });
    before.prepare(world.node.id);
    await is(world, before, 'unreachable');
    expect(world.attempts).toEqual(['webtransport', 'webrtc']);

    day.mockImplementation(() => begun + performance.now());
    world.faults.webtransport.dead = false;
    before.prepare(world.node.id);
    await is(world, before, 'open');
    await opened(world, {}, { store });
  });

  it('begin with the kind that worked', async () => {
    const world = await World.make(10);
    world.faults.webtransport.dead = true;
    const store = memory();
    await opened(world, { times: { failed: 0 } }, { store });
    world.attempts.length = 0;
    await opened(world, {}, { store });
    expect(world.attempts[0]).toBe('webrtc');
  });

  it('try a better kind again beside the road that is open', async () => {
    const world = await World.make(10);
    world.faults.webtransport.dead = true;
    const roads = await opened(world, { times: { failed: 300 } });
    expect(roads.state(world.node.id).road).toBe('webrtc');
    world.faults.webtransport.dead = false;
    await soon(async () => {
      await page(world, roads);
      expect(roads.state(world.node.id).road).toBe('webtransport');
    });
    expect(world.open.size).toBe(1);
  });

  it('do not judge a network by a service that does not answer', async () => {
    const world = await World.make(10);
    world.refuses = new ConnectionError(new Error('lost'));
    const roads = world.roads();
    roads.prepare(world.node.id);
    await is(world, roads, 'unreachable');
    world.refuses = undefined;
    world.woken(true);
    await is(world, roads, 'open');
  });

  it('are bounded, and survive nonsense in the store', () => {
    const store = memory();
    store.setItem('k', '{"a":');
    const verdicts = new Verdicts(store, 'k');
    for (let i = 0; i < 100; i++) verdicts.failed(`n${i}`, 'x', 'webrtc', 5);
    expect((JSON.parse(store.getItem('k')!) as unknown[]).length).toBe(64);
    expect(new Verdicts(store, 'k').notBefore('n99', 'x', 'webrtc')).toBe(5);
    expect(new Verdicts(store, 'k').notBefore('n0', 'x', 'webrtc')).toBe(0);
    verdicts.clear();
    expect(new Verdicts(store, 'k').notBefore('n99', 'x', 'webrtc')).toBe(0);
    store.setItem('k', '[["n x", 7]]');
    expect(() => new Verdicts(store, 'k')).not.toThrow();
  });
});

describe('local network access', () => {
  // page space, near, own page, address, permission → asked for by WebTransport without a click, with one; the state without WebRTC
  it.each<[World['space'], boolean, boolean, string, PermissionState, boolean, boolean, Direct]>([
    ['public', false, true, '192.168.1.5', 'granted', true, true, 'open'],
    ['public', false, true, '192.168.1.5', 'prompt', false, true, 'permission-needed'],
    ['public', false, true, '192.168.1.5', 'denied', false, false, 'permission-denied'],
    ['public', false, true, '[fd00::5]', 'prompt', false, true, 'permission-needed'],
    ['public', false, true, '127.0.0.1', 'prompt', false, true, 'permission-needed'],
    ['public', false, true, '100.64.1.1', 'prompt', false, true, 'permission-needed'],
    ['public', false, true, '203.0.113.5', 'denied', true, true, 'open'],
    ['public', true, true, '192.168.1.5', 'prompt', true, true, 'open'],
    ['public', true, false, '192.168.1.5', 'prompt', false, true, 'permission-needed'],
    ['local', false, true, '192.168.1.5', 'prompt', true, true, 'open'],
    ['loopback', false, true, '192.168.1.5', 'denied', true, true, 'open'],
  ])('page %s, near %s, own %s: to %s with %s', async (space, near, own, host, permission, unasked, asked, direct) => {
    const world = await World.make(10);
    Object.assign(world, { space, near, own, permission, addresses: [`https://${host}:18623/road`] });
    const roads = world.roads({ kinds: ['webtransport'] });
    roads.prepare(world.node.id);
    await is(world, roads, direct);
    expect(world.attempts.length > 0).toBe(unasked);
    roads.ask();
    if (asked) await is(world, roads, 'open');
    else await new Promise((resolve) => setImmediate(resolve));
    expect(world.attempts.length > 0).toBe(asked);
  });

  it('is not in the way of WebRTC, nor of addresses that are not gated', async () => {
    const world = await World.make(10);
    world.permission = 'prompt';
    const roads = await opened(world);
    expect(roads.state(world.node.id).road).toBe('webrtc');
    roads.ask();
    await soon(() => expect(roads.state(world.node.id).road).toBe('webtransport'));

    const mixed = await World.make(10);
    mixed.permission = 'denied';
    mixed.addresses.push('https://203.0.113.5:18623/road');
    const seen: string[][] = [];
    await opened(mixed, {}, { webtransport: (addresses, hashes, signal) => (seen.push(addresses), mixed.means().webtransport!(addresses, hashes, signal)) });
    expect(seen).toEqual([['https://203.0.113.5:18623/road']]);
  });

  it('says so when the user refuses, and does not ask again by itself', async () => {
    const world = await World.make(10);
    world.permission = 'prompt';
    world.faults.webtransport.dead = true;
    const roads = world.roads({ kinds: ['webtransport'] });
    roads.prepare(world.node.id);
    await is(world, roads, 'permission-needed');
    roads.ask();
    await soon(() => expect(world.attempts).toHaveLength(1));
    await is(world, roads, 'permission-needed'); // dismissed
    roads.prepare(world.node.id);
    expect(world.attempts).toHaveLength(1);
    world.permission = 'denied' as PermissionState;
    world.woken(false);
    roads.prepare(world.node.id);
    await is(world, roads, 'permission-denied');
    expect(world.attempts).toHaveLength(1);
  });
});

describe('an open road', () => {
  it('renews its grant before it ends', async () => {
    const world = await World.make(10);
    world.life = 300;
    const roads = await opened(world);
    await soon(() => expect(world.presented.length).toBeGreaterThan(3));
    expect(new Set(world.presented).size).toBe(world.presented.length);
    expect(roads.state(world.node.id).direct).toBe('open');
    expect(world.attempts).toHaveLength(1);
  });

  it('outlives a service that cannot renew for a moment, and no longer', async () => {
    const world = await World.make(10);
    world.life = 1000;
    const roads = await opened(world, { kinds: ['webtransport'] });
    world.refuses = new ConnectionError(new Error('lost'));
    await new Promise((resolve) => setTimeout(resolve, 600)); // one renewal has failed
    expect(roads.state(world.node.id).direct).toBe('open');
    world.refuses = undefined;
    await soon(() => expect(world.presented.length).toBeGreaterThan(1));
    world.refuses = new ConnectionError(new Error('lost'));
    await soon(() => expect(world.open.size).toBe(0));
    await page(world, roads);
  });

  it('is checked when the page wakes, and built anew if it is dead', async () => {
    const world = await World.make(10);
    const roads = await opened(world);
    world.woken(false);
    await soon(() => expect(world.count('webtransport', '/service')).toBe(1));
    expect(world.attempts).toHaveLength(1);
    const [road] = world.open;
    world.faults.webtransport.silent = true; // the address has changed: nothing says so
    await soon(() => {
      world.woken(false); // the check before may still run
      expect(world.open.has(road!)).toBe(false);
    });
    world.faults.webtransport.silent = false;
    await is(world, roads, 'open');
    await page(world, roads);
  });

  it('is renewed when the page was asleep over the end of its grant', async () => {
    const world = await World.make(10);
    const roads = await opened(world);
    const later = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 3600_000);
    try {
      world.woken(false);
      await soon(() => expect(world.presented.length).toBe(2));
    } finally {
      later.mockRestore();
    }
    expect(world.attempts).toHaveLength(1);
    expect(roads.state(world.node.id).direct).toBe('open');
  });

  it('is closed when no page has come for a while, and opened for the next one', async () => {
    const world = await World.make(10);
    const roads = await opened(world, { times: { idle: 200 } });
    await is(world, roads, 'idle');
    expect(world.open.size).toBe(0);
    await page(world, roads);
    await is(world, roads, 'open');
  });

  it('is given up when it is lost again and again', async () => {
    const world = await World.make(10);
    const roads = world.roads({ kinds: ['webtransport'] });
    let opens = 0;
    roads.onChange((_node, { direct }) => {
      if (direct !== 'open') return;
      opens++;
      const [road] = world.open;
      setImmediate(() => road!.close());
    });
    roads.prepare(world.node.id);
    await soon(() => expect(opens).toBe(3));
    await is(world, roads, 'unreachable');
    expect(world.attempts).toHaveLength(3);
    await page(world, roads);
    expect(world.count('relay')).toBe(1);
  });

  it('leaves the pages to the relay while that is faster', async () => {
    const world = await World.make(400_000);
    const roads = world.roads({ times: { relay: 1500 } });
    await page(world, roads); // measures the relay
    await is(world, roads, 'open');
    world.faults.webtransport.pace = 800;
    for (let i = 0; i < 2; i++) await page(world, roads);
    expect(world.count('webtransport')).toBe(2);
    expect(roads.state(world.node.id)).toMatchObject({ road: 'relay', direct: 'open' });
    await page(world, roads);
    expect(world.count('relay')).toBe(2);
    world.faults.webtransport.pace = undefined;
    await soon(async () => {
      await page(world, roads);
      expect(roads.state(world.node.id).road).toBe('webtransport');
    });
  });

  it('goes to a faster relay in mid-page', async () => {
    const world = await World.make(3_000_000);
    const roads = world.roads();
    await page(world, roads); // measures the relay
    await is(world, roads, 'open');
    world.faults.webtransport.pace = 800;
    await page(world, roads);
    expect([world.count('webtransport'), world.count('relay')]).toEqual([1, 2]);
    expect(roads.state(world.node.id)).toMatchObject({ road: 'relay', direct: 'open' });
  }, 20_000);

  it('keeps its pages when the network was away in mid-page', async () => {
    const world = await World.make(5_000_000);
    const roads = world.roads();
    await page(world, roads); // measures the relay
    await is(world, roads, 'open');
    world.faults.webtransport.pace = 8000; // what comes is not there already
    world.faults.relay.pace = 8000;
    const { body } = await roads.fetch(world.node.id, path);
    const reader = body!.getReader();
    for (let got = 0; got < 1_000_000; got += (await reader.read()).value!.length);
    const back = world.cut();
    setTimeout(back, 1500);
    while (!(await reader.read()).done);
    expect(roads.state(world.node.id)).toMatchObject({ road: 'webtransport', direct: 'open' });
    expect([world.count('webtransport'), world.count('relay')]).toEqual([1, 1]);
  });

  it('gets the pages again on another network', async () => {
    const world = await World.make(400_000);
    const roads = world.roads();
    await page(world, roads);
    await is(world, roads, 'open');
    world.faults.webtransport.pace = 800;
    for (let i = 0; i < 2; i++) await page(world, roads);
    expect(roads.state(world.node.id)).toMatchObject({ road: 'relay', direct: 'open' });
    world.woken(true);
    expect(roads.state(world.node.id)).toMatchObject({ road: 'webtransport', direct: 'open' });
  });

  it('goes back to a slow road if the relay is silent', async () => {
    const world = await World.make(2_400_000);
    const roads = world.roads({ times: { relay: 0 } });
    await page(world, roads);
    await is(world, roads, 'open');
    world.faults.webtransport.pace = 1000;
    world.faults.relay.silent = true;
    await page(world, roads);
    expect(world.count('webtransport')).toBeGreaterThan(1);
  }, 20_000);

  it('is closed with the roads', async () => {
    const world = await World.make(10);
    const roads = await opened(world);
    roads.close();
    expect(world.open.size).toBe(0);
  });
});

describe('a meter', () => {
  it('counts only the time in which somebody waits, and what all bodies took', async () => {
    let now = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
    const meter = new Meter(500);
    const first = meter.mark();
    const part = (bytes: number): Promise<{ value: Uint8Array }> => Promise.resolve({ value: new Uint8Array(bytes) });
    for (let i = 0; i < 10; i++) {
      const reads = [meter.read(part(1000)), meter.read(part(1000))];
      now += 10;
      await Promise.all(reads);
      now += 1000; // the caller is busy
    }
    expect(meter.ended(first)).toBe(200);
    expect(meter.goodput).toBe(200);
    clock.mockRestore();
  });

  it('does not count a silence, but for what comes after a sign of life', async () => {
    let now = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
    onTestFinished(() => clock.mockRestore());
    const meter = new Meter(500);
    const mark = meter.mark();
    const wait = async (...waits: number[]): Promise<number> => {
      let come!: (got: { value: Uint8Array }) => void;
      const before = meter.mark().busy;
      const read = meter.read(new Promise<{ value: Uint8Array }>((resolve) => (come = resolve)));
      now += waits[0]!;
      for (const ms of waits.slice(1)) {
        meter.nudged = now - 20;
        meter.alive();
        now += ms;
      }
      const running = meter.mark().busy;
      come({ value: new Uint8Array(1000) });
      await read;
      expect(meter.mark().busy).toBe(running);
      return running - before;
    };
    expect(await wait(499)).toBe(499);
    expect(await wait(10_000)).toBe(0);
    expect(await wait(520, 700)).toBe(700); // a way that does little
    expect(await wait(100, 50)).toBe(150);
    expect(meter.ended(mark)).toBe(4000 / (499 + 700 + 150));

    meter.answered(60_000);
    expect(meter.patience).toBe(500);
    for (let i = 0; i < 4; i++) meter.answered(700);
    expect(meter.patience).toBe(1400);
    meter.forget();
    expect([meter.goodput, meter.patience]).toEqual([undefined, 500]);
  });
});
