/**
 * A stand-in for a node or gateway: the same HTTP contract with painted sheets, for working on the
 * app without Go. It can be told to have faults (POST /mock, see Faults). Never part of a build.
 *
 *     npm run dev                        a node at http://localhost:18700
 *     npm run dev -- --gateway --pair    a gateway that asks for a code (K7QM-2X9P)
 *     npm run dev -- --tracking          a licence tracking server
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import type { Capabilities, Document, DocumentPage, Job, Page, PlatenEvent, Scanner, Settings } from '@platen/sdk';
import { Access, type AccessState, type Answer } from './access.js';
import type { Faults } from './mock-faults.js';
import { LicenceMock, type LicenceState } from './mock-licences.js';
import { moduleCalls } from './mock-modules.js';
import { SetupMock } from './mock-setup.js';
import { papers, type Sheet } from './papers.js';
import { pdf } from './pdf.js';
import { SealFor } from './seal.js';

export interface MockOptions {
  port?: number;
  gateway?: boolean;
  /** A licence tracking server: no scanners. */
  tracking?: boolean;
  /** Ask for a code: see access.ts. */
  pair?: boolean;
  /** Milliseconds a page takes. */
  pace?: number;
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
const random = (n: number): string => Array.from(randomBytes(n), (b) => alphabet[b % 32]).join('');
const nodeID = random(28);
const id = (kind: string): string => `${nodeID.slice(0, 16)}-${kind}${random(20)}`;
const now = (): string => new Date().toISOString();

interface StoredPage {
  page: Page;
  sheet: Sheet;
  failed: boolean;
}

export async function startMock(options: MockOptions = {}): Promise<{ url: string; close(): Promise<void>; server: Server }> {
  const sheets = await papers();
  const pace = options.pace ?? 1600;
  const faults: Faults = { feeder: 'loaded', sheets: 5, stop: null, cut: 0, down: false, problem: null, scanners: 'three', unknownHeight: false, nodes: 'some', role: null, named: false, hold: false, encryption: null, stranger: false, tamper: false, licensedPages: null, refuse: null };
  const jobs = new Map<string, Job>();
  const pages = new Map<string, StoredPage>();
  const documents = new Map<string, Document>();
  const keys = new Map<string, string>();
  const wake = new Map<string, () => void>();
  const streams = new Set<{ job: string | undefined; response: ServerResponse }>();
  const log: PlatenEvent[] = [];
  const names = ['Virtual scanner', 'Brother MFC-L8900', 'Epson Perfection V600'];
  const ids = names.map(() => id('s'));
  const importer = id('s'); // on no list
  const stranger = SealFor.stranger();
  const access = new Access(
    { gateway: options.gateway ?? false, id: () => random(20), nodeID, otherNodeID: random(28), scanners: ids, onNode: (node) => emit({ type: 'node-state', node: { ...node } }) },
    options.pair ? undefined : { id: 'loopback', role: 'admin', kind: 'loopback', created: now(), expires: '2027-01-01T00:00:00.000Z' },
  );
  const role = options.tracking ? 'tracking' : options.gateway ? 'gateway' : 'node';
  const licences = new LicenceMock(() => random(20), options.tracking ?? false);
  const moduleCall = moduleCalls({
    pace, documents, refusal: () => faults.refuse, edit: (document, more) => edit(document, more), problem, json, newDocument: (name) => newDocument(name),
    startImport: (document, resolution) => {
      const made: Job = { id: id('j'), scanner: importer, node: nodeID, document, state: 'processing', settings: { resolution, pages: 3 }, pages: 0, created: now() };
      jobs.set(made.id, made);
      setTimeout(() => void run(made), 50);
      return made;
    },
  });
  const setup = new SetupMock(role, () => random(20), () => licences.state.licence);
  let seq = 0;
  const places = ['Reception', '2nd floor, copy room', ''];
  let presence = 'presence-of-the-mock-scanner';
  const shared = [true, false, false];
  const busy = new Map<string, string>();

  const scanner = (i: number): Scanner => ({
    id: ids[i]!, node: nodeID, nodeName: i === 0 ? 'Reception' : 'Archive', name: names[i]!, driver: 'virtual', location: places[i]!,
    sources: ['platen', 'adf', 'adf-duplex'], hold: faults.hold, shared: shared[i]!, ...(faults.encryption ? { encryption: faults.encryption } : {}),
    may: ['admin', 'operator'].includes(access.state.session?.role ?? '') ? ['see', 'scan', 'configure'] : i === 1 ? ['see'] : ['see', 'scan'],
    status: faults.scanners === 'offline' || i === 2 ? { state: 'offline', feeder: 'unknown', waiting: 0, since: new Date(Date.now() - 3_000_000).toISOString() }
      : busy.has(ids[i]!) ? { state: 'processing', feeder: faults.feeder, waiting: 0, since: now() }
      : i === 1 ? { state: 'stopped', reasons: ['cover-open'], feeder: 'empty', waiting: 0, since: now() }
      : { state: 'idle', feeder: faults.feeder, waiting: 0, since: now() },
  });
  const capabilities: Capabilities = {
    sources: (['platen', 'adf', 'adf-duplex'] as const).map((source) => ({
      source,
      modes: [{ mode: 'color', depths: [8, 16] }, { mode: 'gray', depths: [8, 16] }, { mode: 'lineart', depths: [1] }],
      resolutions: source === 'platen' ? { values: [75, 100, 150, 200, 300, 600, 1200] } : { values: [100, 150, 200, 300] },
      area: { maxWidth: 215.9, maxHeight: source === 'platen' ? 297 : 355.6 },
      defaults: { mode: 'color', resolution: 300 },
      ...(source === 'platen' ? {} : { feeder: { capacity: 50, detectsLoad: true } }),
    })),
    formats: ['jpeg', 'png'],
    options: [
      { name: 'brightness', title: 'Brightness', type: 'int', unit: '%', min: -100, max: 100, default: '0', group: 'Enhancement' },
      { name: 'rotate', title: 'Rotate automatically', type: 'bool', default: 'no', group: 'Enhancement' },
      { name: 'gamma', title: 'Gamma', description: 'Curve of the grey values.', type: 'fixed', min: 0.5, max: 3, default: '1.0', group: 'Enhancement', advanced: true },
      { name: 'dropout', title: 'Drop-out colour', type: 'string', values: ['None', 'Red', 'Green', 'Blue'], default: 'None', group: 'Advanced' },
    ],
    defaults: { source: 'adf', mode: 'color', depth: 8, resolution: 300, pages: 0, format: 'jpeg', quality: 85 },
  };
  function emit(event: Omit<PlatenEvent, 'id'>, job?: string): void {
    const full = { id: `7.${++seq}`, ...event };
    log.push(full);
    for (const stream of streams) {
      if (stream.job === undefined || stream.job === job) stream.response.write(`id: ${full.id}\nevent: ${full.type}\ndata: ${JSON.stringify(full)}\n\n`);
    }
  }

  function setJob(job: Job, more: Partial<Job>): void {
    Object.assign(job, more);
    emit({ type: 'job-state', job: { ...job } }, job.id);
    if (['completed', 'canceled', 'aborted'].includes(job.state)) {
      for (const stream of [...streams]) if (stream.job === job.id) stream.response.end();
    }
  }

  const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  function release(job: Job): void {
    delete job.reasons;
    delete job.releaseCode;
    delete job.deadline;
    void run(job);
  }

  async function run(job: Job): Promise<void> {
    const { settings } = job;
    const sides = settings.source === 'adf-duplex' ? 2 : 1;
    const total = settings.source === 'platen' ? Math.min(settings.pages || 1, 20) : settings.pages || faults.sheets * sides;
    setJob(job, { state: 'processing', started: now() });
    const i = ids.indexOf(job.scanner);
    const tellScanner = (): void => {
      if (i >= 0) emit({ type: 'device-state', scanner: scanner(i) });
    };
    if (i >= 0) busy.set(job.scanner, job.id);
    tellScanner();
    await sleep(Math.min(900, pace));
    const asked = (): string | undefined => (job as { asked?: string }).asked;
    const stop = async (why: string): Promise<boolean> => {
      setJob(job, { state: 'processing-stopped', reasons: [why], deadline: new Date(Date.now() + 600_000).toISOString() });
      await new Promise<void>((resolve) => wake.set(job.id, resolve));
      if (asked()) return false;
      delete job.reasons;
      delete job.deadline;
      setJob(job, { state: 'processing' });
      return true;
    };
    let partial: string | undefined;
    for (let n = 1; n <= total && !asked(); n++) {
      if (faults.licensedPages !== null && n > faults.licensedPages) {
        partial = 'license';
        break;
      }
      if (faults.feeder === 'empty' && settings.source !== 'platen' && n === 1 && !(await stop('feeder-empty'))) break;
      if (settings.source === 'platen' && n > 1 && !(await stop('next-sheet'))) break;
      if (faults.stop?.page === n) {
        const { reason } = faults.stop;
        faults.stop = null;
        if (!(await stop(reason))) {
          partial = reason;
          break;
        }
      }
      await scanPage(job, n, sides === 2 ? (n % 2 ? 'front' : 'back') : undefined);
    }
    busy.delete(job.scanner);
    delete job.growing;
    delete job.deadline;
    const reasons = partial === 'license' ? ['partial-license'] : asked() === 'finish' ? [partial ? `partial-${partial}` : 'finished-by-user'] : asked() === 'cancel' ? ['canceled-by-user'] : [];
    setJob(job, { state: asked() === 'cancel' ? 'canceled' : 'completed', ended: now(), ...(reasons.length ? { reasons } : {}) });
    tellScanner();
  }

  async function scanPage(job: Job, n: number, side: 'front' | 'back' | undefined): Promise<void> {
    const sheet = sheets[(pages.size) % sheets.length]!;
    const page: Page = {
      id: id('p'), job: job.id, n, state: 'growing', format: 'jpeg', mode: 'color', depth: 8, resolution: 150, width: sheet.width,
      lines: 0, bytes: 0, started: now(), ...(faults.unknownHeight ? {} : { height: sheet.height }), ...(side ? { side } : {}),
    };
    const stored = { page, sheet, failed: false };
    pages.set(`${job.id}/${n}`, stored);
    job.growing = n;
    emit({ type: 'page-started', page: { ...page } }, job.id);
    setJob(job, {});
    const steps = 20;
    for (let s = 1; s <= steps; s++) {
      await sleep(pace / steps);
      if ((job as { asked?: string }).asked === 'cancel') {
        stored.failed = true;
        pages.delete(`${job.id}/${n}`);
        emit({ type: 'page-failed', page: { ...page } }, job.id);
        return;
      }
      page.lines = Math.floor((sheet.height * s) / steps);
      page.bytes = Math.floor((sheet.jpeg.length * s) / steps);
      if (s % 2 === 0) emit({ type: 'page-progress', page: { ...page } }, job.id);
    }
    Object.assign(page, { state: 'committed', height: sheet.height, lines: sheet.height, bytes: sheet.jpeg.length, committed: now(), digest: createHash('sha256').update(sheet.jpeg).digest('hex') });
    job.pages = n;
    delete job.growing;
    const document = documents.get(job.document)!;
    edit(document, { pages: [...document.pages, { job: job.id, n }] });
    emit({ type: 'page-committed', page: { ...page } }, job.id);
    setJob(job, {});
  }

  function newDocument(name = 'Scan'): Document {
    const made: Document = { id: id('d'), node: nodeID, name, revision: 1, pages: [], created: now(), updated: now(), expires: new Date(Date.now() + 86_400_000).toISOString() };
    documents.set(made.id, made);
    return made;
  }

  function edit(document: Document, more: Partial<Document>): void {
    Object.assign(document, more, { revision: document.revision + 1, updated: now() });
    emit({ type: 'document', document: { ...document } });
  }

  function problem(response: ServerResponse, status: number, code: string, more: object = {}): void {
    response.writeHead(status, { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store' })
      .end(JSON.stringify({ type: `urn:platen:problem:${code}`, title: 'See the code.', status, code, retryable: status >= 500, ...more }));
  }
  function json(response: ServerResponse, status: number, body: unknown): void {
    response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(JSON.stringify(body));
  }

  async function sendPage(response: ServerResponse, stored: StoredPage, query: URLSearchParams): Promise<void> {
    const { page, sheet } = stored;
    const { recipient } = jobs.get(page.job)!;
    if (recipient && options.gateway) {
      const form = query.has('width') ? `jpeg-w${query.get('width')}` : query.get('format') === 'png' ? 'png' : '';
      const small = query.has('width') && Number(query.get('width')) <= 240;
      const seal = new SealFor(recipient, { node: nodeID, object: page.job, part: String(page.n), version: page.id, form }, form === 'png' ? 'image/png' : 'image/jpeg');
      const whole = seal.body(small ? sheet.small : sheet.jpeg);
      if (faults.tamper) whole[100]! ^= 1;
      response.writeHead(200, { ...seal.headers, 'Content-Length': whole.length, 'Cache-Control': 'no-store' });
      // As much of it is sent as of the page has been scanned.
      for (let sent = 0; sent < whole.length; ) {
        if (stored.failed || response.destroyed || faults.down) return void response.destroy();
        const there = page.state === 'growing' ? Math.floor((whole.length * page.bytes) / sheet.jpeg.length) : whole.length;
        if (there > sent) {
          response.write(whole.subarray(sent, there));
          sent = there;
        } else await sleep(20);
      }
      return void response.end();
    }
    if (query.has('width') && Number(query.get('width')) <= 240) {
      response.writeHead(200, { 'Content-Type': 'image/jpeg', ETag: `"${page.id}.jpeg-w240"`, 'Content-Length': sheet.small.length, 'Cache-Control': 'private, max-age=3600, immutable' }).end(sheet.small);
      return;
    }
    if (page.state === 'growing' && page.height === undefined) {
      problem(response, 409, 'page-not-ready', { retryable: true });
      return;
    }
    const headers: Record<string, string> = { 'Content-Type': 'image/jpeg', ETag: `"${page.id}"`, 'Cache-Control': page.state === 'growing' ? 'no-store' : 'private, no-cache' };
    if (page.state !== 'growing') headers['Repr-Digest'] = `sha-256=:${createHash('sha256').update(sheet.jpeg).digest('base64')}:`;
    if (query.has('download')) headers['Content-Disposition'] = 'attachment; filename="page.jpg"';
    response.writeHead(200, headers);
    for (let sent = 0; sent < sheet.jpeg.length; ) {
      if (stored.failed || response.destroyed || faults.down) return void response.destroy();
      if (page.n === faults.cut && page.bytes > sheet.jpeg.length / 2) {
        faults.cut = 0;
        return void response.destroy();
      }
      if (page.bytes > sent) {
        response.write(sheet.jpeg.subarray(sent, page.bytes));
        sent = page.bytes;
      } else await sleep(20);
    }
    response.end();
  }

  async function api(request: IncomingMessage, response: ServerResponse, path: string, query: URLSearchParams, body: any): Promise<void> {
    const { method } = request;
    const route = `${method} ${path.replace(/[a-z2-7]{16}-[a-z][a-z2-7]{20}|[a-z2-7]{28}|[a-z2-7]{20}|(?<=pages\/)\d+|(?<=device-grants\/)\w+|(?<=seats\/)\d+|(?<=projects\/)[\w-]+/g, ':')}`;
    const part = path.split('/');
    if (faults.problem) return problem(response, faults.problem.status, faults.problem.code);
    const { session } = access.state;
    if (route === 'GET /service') {
      return json(response, 200, { product: 'platen', api: '1', ...(session ? { role, version: '0.1.0', id: nodeID, name: options.tracking ? 'Contoso licences' : options.gateway ? 'Contoso scans' : 'Reception' } : {}) });
    }
    const open = access.open(route, body);
    if (!open && !session) return problem(response, 401, 'session-required');
    const answer: Answer | undefined = faults.nodes === 'none' && route === 'GET /nodes' ? [200, { items: [] }] : (open ?? access.answer(route, part, body) ?? setup.answer(route, part, body, request.headers.host!));
    if (answer) {
      if (!Array.isArray(answer)) return problem(response, answer.status, answer.code);
      if (answer[0] === 204) return void response.writeHead(204).end();
      return json(response, answer[0], answer[1]);
    }
    const licence = licences.answer(route, part, query, body);
    if (licence) {
      if (!Array.isArray(licence)) return problem(response, licence.status, licence.code);
      if (licence[0] === 204) return void response.writeHead(204).end();
      if (licence[2]) return void response.writeHead(200, { 'Content-Type': licence[2] }).end(licence[1]);
      return json(response, licence[0], licence[1]);
    }
    if (await moduleCall(route, part, query, body, response)) return;
    const job = jobs.get(part[2]!);
    const document = documents.get(part[2]!);
    switch (route) {
      case 'GET /scanners':
        return json(response, 200, faults.scanners === 'none' ? { items: [] } : faults.scanners === 'looking' ? { items: [], looking: true }
          : { items: (faults.scanners === 'one' || faults.scanners === 'offline' ? [0] : [0, 1, 2]).map(scanner), ...(options.gateway ? { incomplete: [{ node: random(28), name: 'Warehouse', since: now() }] } : {}) });
      case 'GET /scanners/:': { const i = ids.indexOf(part[2]!); return i < 0 ? problem(response, 404, 'not-found') : json(response, 200, scanner(i)); }
      case 'PATCH /scanners/:': {
        const i = ids.indexOf(part[2]!);
        if (body.name !== undefined) names[i] = body.name || 'Virtual scanner';
        if (body.location !== undefined) places[i] = body.location;
        if (body.hold !== undefined) faults.hold = body.hold;
        if (body.shared !== undefined) shared[i] = body.shared;
        emit({ type: 'device-state', scanner: scanner(i) });
        return json(response, 200, scanner(i));
      }
      case 'GET /scanners/:/sticker':
      case 'POST /scanners/:/sticker':
        if (route.startsWith('POST')) presence = random(20);
        return json(response, 200, { presence, path: `/scanners/${part[2]}#at=${presence}` });
      case 'POST /scanners/:/release': {
        const held = [...jobs.values()].find((j) => j.state === 'pending-held' && j.releaseCode === body.code);
        if (!held) return problem(response, 403, 'release-wrong');
        release(held);
        return void response.writeHead(204).end();
      }
      case 'GET /scanners/:/capabilities': await sleep(60); return json(response, 200, capabilities);
      case 'GET /scanners/:/status': return json(response, 200, scanner(ids.indexOf(part[2]!)).status);
      case 'POST /scanners/:/jobs': {
        const key = String(request.headers['idempotency-key'] ?? '');
        if (!key) return problem(response, 400, 'idempotency-key-missing');
        const known = jobs.get(keys.get(key) ?? '');
        if (known) return json(response, 201, known);
        if (faults.refuse) return problem(response, faults.refuse.status, faults.refuse.code, { detail: faults.refuse.detail });
        if (faults.encryption === 'required' && !body.recipient) return problem(response, 403, 'encryption-required');
        const settings: Settings = { ...capabilities.defaults, ...body.settings };
        const source = capabilities.sources.find((s) => s.source === settings.source);
        if (!source?.resolutions.values?.includes(settings.resolution ?? 0)) return problem(response, 422, 'settings-unsupported', { field: 'settings.resolution', detail: `${settings.resolution} dpi is not offered` });
        let target = documents.get(body.document ?? '');
        if (!target) {
          target = newDocument(body.name);
        }
        const made: Job = { id: id('j'), scanner: part[2]!, node: nodeID, document: target.id, state: 'pending', settings, pages: 0, created: now(), position: 1, ...(faults.stranger ? { recipient: stranger } : body.recipient ? { recipient: body.recipient } : {}) };
        jobs.set(made.id, made);
        keys.set(key, made.id);
        if (faults.hold) {
          delete made.position;
          Object.assign(made, { state: 'pending-held', reasons: ['held-for-owner'], releaseCode: '482913', deadline: new Date(Date.now() + 3_600_000).toISOString() });
          return json(response, 201, made);
        }
        json(response, 201, made);
        setTimeout(() => {
          delete made.position;
          void run(made);
        }, 50);
        return;
      }
      case 'POST /jobs/:/release':
        if (job?.state !== 'pending-held') return problem(response, 409, 'job-wrong-state');
        if (body.presence ? body.presence !== presence : !['admin', 'operator'].includes(session!.role)) return problem(response, 403, 'release-wrong');
        release(job);
        return json(response, 200, job);
      case 'GET /jobs': return json(response, 200, { items: [...jobs.values()].reverse().filter((j) => (query.get('state') ?? j.state) === j.state && (query.get('scanner') ?? j.scanner) === j.scanner) });
      case 'GET /jobs/:': return job ? json(response, 200, job) : problem(response, 404, 'not-found');
      case 'POST /jobs/:/cancel':
      case 'POST /jobs/:/finish':
      case 'POST /jobs/:/resume': {
        if (!job) return problem(response, 404, 'not-found');
        if (job.ended || (part[3] === 'resume' && job.state !== 'processing-stopped')) return problem(response, 409, 'job-wrong-state');
        if (part[3] !== 'resume') (job as { asked?: string | undefined }).asked = part[3];
        if (job.state === 'pending-held') setJob(job, { state: 'canceled', reasons: ['canceled-by-user'], ended: now() });
        const { asked, ...shown } = job as Job & { asked?: string };
        json(response, 200, shown);
        wake.get(job.id)?.();
        return;
      }
      case 'GET /events':
      case 'GET /jobs/:/events': {
        if (part[1] === 'jobs' && !job) return problem(response, 404, 'not-found');
        response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
        response.flushHeaders();
        const stream = { job: job?.id, response };
        const beat = setInterval(() => response.write(': beat\n\n'), 15_000);
        response.on('close', () => {
          clearInterval(beat);
          streams.delete(stream);
        });
        if (job) {
          response.write(`id: 7.${seq}\nevent: job-state\ndata: ${JSON.stringify({ id: `7.${seq}`, type: 'job-state', job })}\n\n`);
          if (job.ended) return void response.end();
        }
        streams.add(stream);
        return;
      }
      case 'GET /jobs/:/pages': return json(response, 200, { items: [...pages.values()].filter((p) => p.page.job === part[2]).map((p) => p.page) });
      case 'POST /nodes/:/roads': return problem(response, 404, 'not-found');
      case 'GET /jobs/:/pages/:': { const stored = pages.get(`${part[2]}/${part[4]}`); return stored ? sendPage(response, stored, query) : problem(response, 404, 'not-found'); }
      case 'POST /jobs/:/pages/:/ack': return void response.writeHead(204).end();
      case 'GET /documents': return json(response, 200, { items: [...documents.values()].sort((a, b) => b.updated.localeCompare(a.updated)) });
      case 'GET /documents/:': return document ? json(response, 200, document) : problem(response, 404, 'not-found');
      case 'PATCH /documents/:':
        if (!document) return problem(response, 404, 'not-found');
        if (body.revision !== undefined && body.revision !== document.revision) return problem(response, 409, 'revision-conflict');
        edit(document, { ...(body.name ? { name: body.name } : {}), ...(body.pages ? { pages: body.pages as DocumentPage[] } : {}) });
        return json(response, 200, document);
      case 'DELETE /documents/:': documents.delete(part[2]!); return void response.writeHead(204).end();
      case 'GET /documents/:/content': {
        if (!document) return problem(response, 404, 'not-found');
        await sleep(300);
        if (query.get('format') === 'txt') return void response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' }).end(document.pages.map((p) => `Invoice 4711, page ${p.n}\nContoso Ltd, 22 November 2026\n`).join('\n'));
        const file = pdf(document.pages.map((p) => ({ ...pages.get(`${p.job}/${p.n}`)!.sheet, ...(p.rotate ? { rotate: p.rotate } : {}) })));
        const recipients = [...new Set(document.pages.map((p) => jobs.get(p.job)!.recipient).filter((r) => r !== undefined))];
        if (options.gateway && recipients.length > 1) return problem(response, 409, 'sealed-for-others');
        if (options.gateway && recipients[0]) {
          const format = query.get('format') ?? 'pdf';
          const seal = new SealFor(recipients[0], { node: nodeID, object: document.id, part: '', version: `r${document.revision}`, form: format }, 'application/pdf', '');
          const whole = seal.body(file);
          if (faults.tamper) whole[100]! ^= 1;
          return void response.writeHead(200, { ...seal.headers, 'Content-Length': whole.length, 'Cache-Control': 'no-store' }).end(whole);
        }
        return void response.writeHead(200, { 'Content-Type': 'application/pdf', 'Content-Length': file.length, ...(query.has('download') ? { 'Content-Disposition': 'attachment; filename="scan.pdf"' } : {}) }).end(file);
      }
      default: return problem(response, 404, 'not-found');
    }
  }

  const dist = join(import.meta.dirname, '../app/dist');
  const types: Record<string, string> = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png', '.webmanifest': 'application/manifest+json', '.html': 'text/html; charset=utf-8' };
  const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://mock');
    let text = '';
    request.on('data', (chunk) => (text += String(chunk)));
    request.on('end', () => {
      if (url.pathname === '/mock') {
        const told = JSON.parse(text) as Partial<Faults & AccessState & SetupMock['state'] & LicenceState & { asks: string }>;
        Object.assign(faults, told);
        for (const key of ['people', 'anyOrigin', 'provider'] as const) if (key in told) Object.assign(access.state, { [key]: told[key] });
        for (const key of ['licence', 'counting', 'items', 'modules', 'alerts'] as const) if (key in told) Object.assign(licences.state, { [key]: told[key] });
        if ('setup' in told) setup.state.setup = told.setup!;
        if (told.asks) access.ask(told.asks);
        const { session } = access.state;
        if (session && faults.role) session.role = faults.role;
        if (session && faults.named) Object.assign(session, { id: random(20), kind: 'pairing', user: access.users[0]!.id, name: access.users[0]!.name, device: 'Test browser' });
        faults.named = false;
        if (faults.down) {
          for (const s of streams) s.response.destroy();
        } else emit({ type: 'device-state', scanner: scanner(0) });
        response.writeHead(204).end();
        return;
      }
      if (faults.down) return void request.socket.destroy();
      if (url.pathname.startsWith('/api/v1')) {
        void api(request, response, url.pathname.slice(7), url.searchParams, text && request.headers['content-type'] === 'application/json' ? JSON.parse(text) : {}).catch((error: unknown) => {
          console.error(error);
          response.destroy();
        });
        return;
      }
      if (url.pathname === '/mock-provider') {
        const state = url.searchParams.get('state')!;
        const said = access.state.provider === 'denied' ? { error: 'access_denied', state } : { code: 'code-of-the-provider', state };
        return void response.writeHead(302, { Location: `/sign-in/done?${new URLSearchParams(said)}` }).end();
      }
      const file = join(dist, url.pathname);
      const found = extname(url.pathname) && existsSync(file) ? file : extname(url.pathname) ? undefined : join(dist, 'index.html');
      if (!found) return void response.writeHead(404).end();
      response.writeHead(200, { 'Content-Type': types[extname(found)] ?? 'application/octet-stream', 'Content-Security-Policy': policy, 'Cache-Control': 'no-store' }).end(readFileSync(found));
    });
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  return {
    server,
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    }),
  };
}

if (process.argv.includes('--port')) {
  const { url } = await startMock({ port: Number(process.argv[process.argv.indexOf('--port') + 1]), gateway: process.argv.includes('--gateway'), tracking: process.argv.includes('--tracking'), pair: process.argv.includes('--pair') });
  console.log(url);
}
