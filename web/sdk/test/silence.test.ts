import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RelayLane, type Lane } from '../src/road/lane.js';
import { Liveness } from '../src/road/liveness.js';
import { Roads } from '../src/road/roads.js';
import { Meter } from '../src/road/measure.js';
import { roadTimes } from '../src/road/road.js';
import type { Means, RoadService } from '../src/road/service.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = new Promise<never>(() => {});
const means = { secure: () => false, store: undefined, watch: () => () => {} } as unknown as Means;

/** A service that is asked for pages and for something small, and when it was asked for the latter: milliseconds. */
class Small {
  readonly at: number[] = [];
  readonly #began = Date.now();
  small: () => Promise<Response> = () => never;
  page: () => Promise<Response> = () => never;
  readonly service = {
    relay: (path: string) => {
      if (path !== '/api/v1/service') return this.page();
      this.at.push(Date.now() - this.#began);
      return this.small();
    },
    roads: () => never,
    now: () => Date.now(),
  } as unknown as RoadService;

  /** Of a road beside the service. */
  liveness(): Liveness {
    const relay = new RelayLane(this.service, roadTimes);
    return new Liveness(roadTimes.stall, () => relay);
  }

  fetch(roads = new Roads(this.service, {}, means)): Promise<Response> {
    return roads.fetch('node', '/api/v1/jobs/j/pages/1');
  }
}

/** Parts that come so many milliseconds after each other. */
function every(ms: number, parts: number): Response {
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (parts-- === 0) controller.close();
    else controller.enqueue(new Uint8Array(10));
  };
  return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
}

const after = <T>(ms: number, value: T): Promise<T> => new Promise((resolve) => setTimeout(() => resolve(value), ms));

describe('a silence', () => {
  it('is broken four times, and then left to whoever sends', async () => {
    const world = new Small();
    world.page = () => after(60_000, new Response('page'));
    const fetched = world.fetch();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(world.at).toEqual([500, 1000, 1500, 2000]);
    expect(await (await fetched).text()).toBe('page');
  });

  it('is broken once if that is answered: the page is not there yet', async () => {
    const world = new Small();
    world.small = () => after(20, new Response('{}'));
    void world.fetch();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(world.at).toEqual([500]);
  });

  it('is broken in mid-page, each anew', async () => {
    const world = new Small();
    world.small = () => after(20, new Response('{}'));
    world.page = () => Promise.resolve(every(700, 2));
    const text = world.fetch().then((response) => response.text());
    await vi.advanceTimersByTimeAsync(2100);
    expect((await text).length).toBe(20);
    expect(world.at).toEqual([500, 1200, 1900]);
  });

  it('is broken once for all who wait', async () => {
    const world = new Small();
    const roads = new Roads(world.service, {}, means);
    for (let i = 0; i < 50; i++) {
      void world.fetch(roads);
      await vi.advanceTimersByTimeAsync(4);
    }
    await vi.advanceTimersByTimeAsync(5000);
    expect(world.at.length).toBeLessThanOrEqual(8);
    world.small = () => after(20, new Response('{}'));
    world.at.length = 0;
    for (let i = 0; i < 50; i++) void world.fetch(roads);
    await vi.advanceTimersByTimeAsync(5000);
    expect(world.at).toHaveLength(1);
  });

  it('is none while something comes', async () => {
    const world = new Small();
    world.page = () => Promise.resolve(every(400, 20));
    const text = world.fetch().then((response) => response.text());
    await vi.advanceTimersByTimeAsync(10_000);
    expect((await text).length).toBe(200);
    expect(world.at).toEqual([]);
  });

  it('is longer where answers take long', async () => {
    const world = new Small();
    const roads = new Roads(world.service, {}, means);
    world.small = () => after(800, new Response('{}'));
    world.page = () => after(900, new Response('page'));
    void world.fetch(roads);
    await vi.advanceTimersByTimeAsync(2000);
    world.page = () => never;
    void world.fetch(roads);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(world.at).toEqual([500, 2000 + 2 * 800]);
  });

  it('of a road ends it as soon as the relay answers and the road does not', async () => {
    const world = new Small();
    const road: Lane = { name: 'webrtc', meter: new Meter(roadTimes.nudge), fetch: () => never, alive: () => after(roadTimes.check, false) };
    const ended = vi.fn();
    world.liveness().watch(road, never).catch(ended);
    world.small = () => after(300, new Response('{}'));
    await vi.advanceTimersByTimeAsync(roadTimes.stall + 300 + roadTimes.nudge - 1);
    expect(ended).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toHaveBeenCalledWith(expect.objectContaining({ name: 'StalledError' }));
  });

  it('of a road ends it soon after the network is back', async () => {
    const world = new Small();
    const road: Lane = { name: 'webrtc', meter: new Meter(roadTimes.nudge), fetch: () => never, alive: () => after(roadTimes.check, false) };
    const ended = vi.fn();
    world.liveness().watch(road, never).catch(ended);
    await vi.advanceTimersByTimeAsync(10_000);
    world.small = () => after(20, new Response('{}')); // the network is back
    await vi.advanceTimersByTimeAsync(roadTimes.check + roadTimes.nudge + 20 + roadTimes.nudge);
    expect(ended).toHaveBeenCalledWith(expect.objectContaining({ name: 'StalledError' }));
  });

  it('is over with the first byte, while the other way is still asked', async () => {
    const world = new Small();
    const road: Lane = { name: 'webrtc', meter: new Meter(roadTimes.nudge), fetch: () => never, alive: () => never };
    const got = vi.fn();
    void world.liveness().watch(road, after(roadTimes.stall + 100, 'byte')).then(got);
    await vi.advanceTimersByTimeAsync(roadTimes.stall + 100);
    expect(got).toHaveBeenCalledWith('byte');
  });
});
