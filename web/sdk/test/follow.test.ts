import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PlatenClient, type Job, type JobHandlers, type Page, type PlatenEvent } from '../src/index.js';
import { deferred, job, jobID, json, page, problem, serve, sse } from './server.js';

/** A node with one job: its true state, and one event stream at a time. */
class FakeNode {
  job: Job = job();
  pages: Page[] = [];
  stream: ServerResponse | undefined;
  streams = 0;
  down = false;
  onStream: (() => void) | undefined;
  seq = 0;

  handle = (request: IncomingMessage, response: ServerResponse): void => {
    if (this.down) {
      request.socket.destroy();
      return;
    }
    const { pathname } = new URL(request.url!, 'http://x');
    if (pathname.endsWith('/events')) {
      this.stream = response;
      this.streams++;
      this.send({ type: 'job-state', job: this.job });
      this.onStream?.();
    } else if (pathname.endsWith('/pages')) json(response, 200, { items: this.pages });
    else json(response, 200, this.job);
  };

  send(event: Omit<PlatenEvent, 'id'>): void {
    sse(this.stream!)({ id: `1.${++this.seq}`, ...event });
  }
  tell(type: 'page-started' | 'page-progress' | 'page-committed' | 'page-failed', p: Page): void {
    this.pages = [...this.pages.filter((x) => x.n !== p.n), ...(type === 'page-failed' ? [] : [p])];
    this.send({ type, page: p });
  }
  set(state: Partial<Job>): void {
    this.job = { ...this.job, ...state };
  }
  cut(): void {
    this.stream?.socket?.destroy();
  }
}

async function start(node: FakeNode, handlers: JobHandlers): Promise<void> {
  const base = await serve(node.handle);
  const follower = new PlatenClient({ base }).followJob(jobID, handlers);
  onTestFinished(() => follower.close());
}

const committed = (n: number): Page => page(n, { state: 'committed', lines: 3508, bytes: 9000, digest: 'a'.repeat(64) });

describe('JobFollower', () => {
  it('tells growth, commit and end once each', async () => {
    const node = new FakeNode();
    const told: string[] = [];
    const up = deferred();
    const ended = deferred<Page[]>();
    await start(node, {
      onConnection: (is) => is && up.resolve(),
      onJob: (j) => told.push(`${j.state} ${j.pages}`),
      onPage: (p) => told.push(`${p.n} ${p.state} ${p.lines}`),
      onEnd: (_j, pages) => ended.resolve(pages),
    });
    await up.promise;
    node.tell('page-started', page(1));
    node.tell('page-progress', page(1, { lines: 1000, bytes: 3000 }));
    node.tell('page-progress', page(1, { lines: 1000, bytes: 3000 }));
    node.tell('page-committed', committed(1));
    node.set({ state: 'completed', pages: 1 });
    node.send({ type: 'job-state', job: node.job });
    node.stream!.end();
    expect(await ended.promise).toEqual([committed(1)]);
    expect(told).toEqual(['processing 0', '1 growing 0', '1 growing 1000', '1 committed 3508', 'completed 1']);
  });

  it('finds the true state after an outage in which everything happened', async () => {
    const node = new FakeNode();
    const connection: boolean[] = [];
    const up = deferred();
    const down = deferred();
    const ended = deferred<{ j: Job; pages: Page[] }>();
    const gone: number[] = [];
    await start(node, {
      onConnection: (is) => {
        connection.push(is);
        (is ? up : down).resolve();
      },
      onPageGone: (p) => gone.push(p.n),
      onEnd: (j, pages) => ended.resolve({ j, pages }),
    });
    await up.promise;
    node.tell('page-started', page(1));
    node.tell('page-committed', committed(1));
    node.down = true;
    node.cut();
    await down.promise;
    node.pages = [committed(1), committed(2), committed(3)];
    node.set({ state: 'completed', pages: 3, reasons: ['partial-jam'] });
    node.down = false;
    const end = await ended.promise;
    expect(end.j.reasons).toEqual(['partial-jam']);
    expect(end.pages.map((p) => `${p.n} ${p.state}`)).toEqual(['1 committed', '2 committed', '3 committed']);
    expect(connection[0]).toBe(true);
    expect(connection).toContain(false);
    expect(connection.at(-1)).toBe(true);
    expect(gone).toEqual([]);
  });

  it('drops a growing page that failed during an outage, and takes the next attempt', async () => {
    const node = new FakeNode();
    const grew = deferred();
    const gone = deferred<Page>();
    const again = deferred<Page>();
    await start(node, {
      onPage: (p) => (p.lines === 500 ? grew.resolve() : p.state === 'committed' && again.resolve(p)),
      onPageGone: gone.resolve,
    });
    while (!node.stream) await new Promise((r) => setImmediate(r));
    node.tell('page-started', page(1, { lines: 500 }));
    await grew.promise;
    node.pages = [];
    node.cut();
    expect((await gone.promise).n).toBe(1);
    const second = page(1, { ...committed(1), id: 'abcdefghijklmnop-pzzzzzzzzzzzzzzzzzzzz', started: '2026-11-22T10:01:00.000Z' });
    node.tell('page-committed', second);
    expect((await again.promise).id).toBe(second.id);
  });

  it('does not believe an older list against a newer event', async () => {
    const node = new FakeNode();
    const held = deferred<ServerResponse>();
    const pages: Page[] = [];
    const base = await serve((request, response) => {
      if (request.url!.includes('/pages')) held.resolve(response);
      else node.handle(request, response);
    });
    const got = deferred();
    const up = deferred();
    const gone: Page[] = [];
    const follower = new PlatenClient({ base }).followJob(jobID, {
      onPage: (p) => {
        pages.push(p);
        got.resolve();
      },
      onPageGone: (p) => gone.push(p),
      onConnection: (is) => is && up.resolve(),
    });
    onTestFinished(() => follower.close());
    const answer = await held.promise;
    node.tell('page-started', page(2));
    await got.promise;
    json(answer, 200, { items: [] });
    await up.promise;
    expect(gone).toEqual([]);
    expect(follower.pages.map((p) => p.n)).toEqual([2]);
  });

  it('says when following is of no use', async () => {
    const base = await serve((_request, response) => problem(response, 404, 'not-found'));
    const failed = deferred<unknown>();
    new PlatenClient({ base }).followJob(jobID, { onFailed: failed.resolve });
    expect(await failed.promise).toMatchObject({ code: 'not-found' });
  });
});
