import { describe, expect, it, onTestFinished } from 'vitest';
import { PlatenClient, ProblemError, type EventStreamOptions, type PlatenEvent } from '../src/index.js';
import { deferred, job, problem, serve, sse } from './server.js';

const event = (id: string, pages = 0): PlatenEvent => ({ id, type: 'job-state', job: job({ pages }) });

function follow(base: string, options: EventStreamOptions): void {
  const stream = new PlatenClient({ base }).events(options);
  onTestFinished(async () => {
    stream.close();
    await stream.done;
  });
}

describe('EventStream', () => {
  it('resumes after the last event when the connection breaks', async () => {
    const asked: (string | undefined)[] = [];
    const base = await serve((request, response) => {
      asked.push(request.headers['last-event-id'] as string | undefined);
      const send = sse(response);
      if (asked.length === 1) {
        send(event('1.1', 1));
        send(event('1.2', 2));
        response.write(': wait\n\n', () => setImmediate(() => request.socket.destroy()));
      } else send(event('1.3', 3));
    });
    const got: string[] = [];
    const opens: boolean[] = [];
    const downs: unknown[] = [];
    const third = deferred();
    follow(base, {
      onEvent: (e) => {
        got.push(e.id);
        if (e.id === '1.3') third.resolve();
      },
      onOpen: (resumed) => opens.push(resumed),
      onDown: (error) => downs.push(error.name),
    });
    await third.promise;
    expect(got).toEqual(['1.1', '1.2', '1.3']);
    expect(asked).toEqual([undefined, '1.2']);
    expect(opens).toEqual([false, true]);
    expect(downs).toEqual(['ConnectionError']);
  });

  it('reads again and goes on when the events are gone', async () => {
    const asked: (string | undefined)[] = [];
    const base = await serve((request, response) => {
      asked.push(request.headers['last-event-id'] as string | undefined);
      if (asked.length === 1) problem(response, 410, 'events-gone');
      else sse(response)(event('2.1'));
    });
    const order: string[] = [];
    const end = deferred();
    follow(base, {
      lastEventID: '1.900',
      onGone: async () => {
        await Promise.resolve();
        order.push('gone');
      },
      onEvent: (e) => {
        order.push(e.id);
        end.resolve();
      },
    });
    await end.promise;
    expect(order).toEqual(['gone', '2.1']);
    expect(asked).toEqual(['1.900', undefined]);
  });

  it('waits out a node that is offline', async () => {
    let requests = 0;
    const base = await serve((_request, response) => {
      if (++requests < 3) problem(response, 503, 'node-offline');
      else sse(response)(event('1.1'));
    });
    const end = deferred();
    const downs: string[] = [];
    follow(base, { onEvent: () => end.resolve(), onDown: (e) => downs.push((e as ProblemError).code) });
    await end.promise;
    expect(downs).toEqual(['node-offline', 'node-offline']);
  });

  it('stops when trying again is of no use', async () => {
    let requests = 0;
    const base = await serve((_request, response) => {
      requests++;
      problem(response, 401, 'session-expired');
    });
    const failed = deferred<unknown>();
    const stream = new PlatenClient({ base }).events({ onEvent: () => {}, onFailed: failed.resolve });
    expect(await failed.promise).toMatchObject({ code: 'session-expired' });
    await stream.done;
    expect(requests).toBe(1);
  });

  it('notices a connection that is dead without having said so', async () => {
    let requests = 0;
    const base = await serve((_request, response) => {
      const send = sse(response);
      if (++requests === 2) send(event('1.1'));
    });
    const end = deferred();
    follow(base, { silence: 50, onEvent: () => end.resolve() });
    await end.promise;
    expect(requests).toBe(2);
  });

  it('passes over what it does not know', async () => {
    const base = await serve((_request, response) => {
      const send = sse(response);
      response.write('data: not json\n\ndata: null\n\ndata: {"id":"1.1","type":"of-tomorrow"}\n\n');
      send(event('1.2'));
    });
    const end = deferred<PlatenEvent>();
    follow(base, { onEvent: end.resolve });
    expect((await end.promise).id).toBe('1.2');
  });

  it('is closed by its signal, also while it waits', async () => {
    const base = await serve((_request, response) => problem(response, 503, 'unavailable', { retryAfter: 3600 }));
    const stop = new AbortController();
    const down = deferred();
    const stream = new PlatenClient({ base }).events({ signal: stop.signal, onEvent: () => {}, onDown: () => down.resolve() });
    await down.promise;
    stop.abort();
    await stream.done;
  });
});
