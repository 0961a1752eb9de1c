import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Job, Page, PlatenEvent, Scanner } from '../src/index.js';

export type Handle = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** An HTTP server on loopback for one test. Answers its base address. */
export async function serve(handle: Handle): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => handle(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

export function problem(response: ServerResponse, status: number, code: string, more: object = {}): void {
  response
    .writeHead(status, { 'Content-Type': 'application/problem+json' })
    .end(JSON.stringify({ type: `urn:platen:problem:${code}`, title: 'It happened.', status, code, retryable: status >= 500, ...more }));
}

export function sse(response: ServerResponse): (event: PlatenEvent) => void {
  if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.flushHeaders();
  return (event) => response.write(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
}

const node = 'abcdefghijklmnopqrstuvwxyzab';
export const jobID = 'abcdefghijklmnop-jaaaaaaaaaaaaaaaaaaaa';

export function job(more: Partial<Job> = {}): Job {
  return {
    id: jobID, scanner: 'abcdefghijklmnop-saaaaaaaaaaaaaaaaaaaa', node, document: 'abcdefghijklmnop-daaaaaaaaaaaaaaaaaaaa',
    state: 'processing', settings: {}, pages: 0, created: '2026-11-22T10:00:00.000Z', ...more,
  };
}

export function scanner(more: Partial<Scanner> = {}): Scanner {
  return {
    id: 'abcdefghijklmnop-saaaaaaaaaaaaaaaaaaaa', node, nodeName: 'Reception', name: 'One', driver: 'virtual',
    status: { state: 'idle', feeder: 'none', waiting: 0, since: '2026-11-22T10:00:00.000Z' }, ...more,
  };
}

export function page(n: number, more: Partial<Page> = {}): Page {
  return {
    id: `abcdefghijklmnop-p${String.fromCharCode(96 + n).repeat(20)}`, job: jobID, n, state: 'growing', format: 'jpeg', mode: 'color',
    depth: 8, resolution: 300, width: 2480, height: 3508, lines: 0, bytes: 0, started: `2026-11-22T10:00:0${n}.000Z`, ...more,
  };
}

/** A promise and what settles it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((r) => (resolve = r));
  return { promise, resolve };
}
