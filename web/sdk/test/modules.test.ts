import { describe, expect, it } from 'vitest';
import { partialReason, PlatenClient, PlatenLicences, ProblemError } from '../src/index.js';
import { deferred, job, jobID, json, page, problem, serve, sse } from './server.js';

const document = { id: 'abcdefghijklmnop-daaaaaaaaaaaaaaaaaaaa', node: 'abcdefghijklmnopqrstuvwxyzab', name: 'Post', revision: 1, pages: [], created: '2026-11-22T10:00:00.000Z', updated: '2026-11-22T10:00:00.000Z' };

/** A service that answers everything with one thing, and what it was asked. */
async function answering(status: number, body: unknown) {
  const asked: { request: string; type: string | undefined; key: string | undefined; body: string }[] = [];
  const base = await serve((request, response, text) => {
    asked.push({ request: `${request.method} ${request.url?.replace('/api/v1', '')}`, type: request.headers['content-type'], key: request.headers['idempotency-key'] as string | undefined, body: text });
    if (status === 204) response.writeHead(204).end();
    else json(response, status, body);
  });
  return { asked, platen: new PlatenClient({ base }) };
}

describe('modules', () => {
  it('are listed, of a node', async () => {
    const states = [{ module: 'ocr', installed: false, licensed: true, hint: 'tesseract-ocr' }];
    const { platen, asked } = await answering(200, { items: states });
    expect(await platen.modules('n1')).toEqual(states);
    await platen.modules();
    expect(asked.map((a) => a.request)).toEqual(['GET /modules?node=n1', 'GET /modules']);
  });

  it('read barcodes', async () => {
    const codes = [{ format: 'qr', text: 'A-1', points: [{ x: 1, y: 2 }] }];
    const { platen, asked } = await answering(200, { items: codes });
    expect(await platen.pageBarcodes('j', 3, { format: 'qr' })).toEqual(codes);
    expect(asked[0]!.request).toBe('GET /jobs/j/pages/3/barcodes?format=qr');
  });

  it('read text', async () => {
    const text = { text: 'Guten Tag', language: 'deu+eng', orientation: 90, words: [] };
    const { platen, asked } = await answering(200, text);
    expect(await platen.pageText('j', 1, { language: 'deu+eng' })).toEqual(text);
    expect(asked[0]!.request).toBe('GET /jobs/j/pages/1/text?language=deu%2Beng');
  });

  it('split a document', async () => {
    const { platen, asked } = await answering(200, { items: [document] });
    expect(await platen.splitDocument('d', { match: 'A-[0-9]+', name: 'barcode' })).toEqual([document]);
    expect(asked[0]).toMatchObject({ request: 'POST /documents/d/split', body: '{"match":"A-[0-9]+","name":"barcode"}' });
  });

  it('make a document that can be searched', async () => {
    const { platen, asked } = await answering(200, {});
    await platen.documentContent('d', { ocr: 'eng' });
    await platen.documentContent('d', { format: 'txt', ocr: 'deu+eng' });
    await platen.documentContent('d', 'tiff');
    expect(asked.map((a) => a.request)).toEqual(['GET /documents/d/content?format=pdf&ocr=eng', 'GET /documents/d/content?format=txt&ocr=deu%2Beng', 'GET /documents/d/content?format=tiff']);
    expect(platen.documentContentURL('d', { ocr: 'eng', download: true })).toContain('/documents/d/content?ocr=eng&download=true');
  });

  it('say by what code they are refused', async () => {
    const base = await serve((_request, response) => problem(response, 403, 'license-module', { detail: 'Licence abc at the node Reception has no module ocr.', next: 'Ask the vendor.' }));
    await expect(new PlatenClient({ base }).pageText('j', 1)).rejects.toMatchObject({ code: 'license-module', detail: 'Licence abc at the node Reception has no module ocr.', next: 'Ask the vendor.' });
  });
});

describe('importPDF', () => {
  const file = new Blob(['%PDF-1.7 …'], { type: 'application/octet-stream' });

  it('sends the file as a PDF, under one key over a lost answer', async () => {
    const keys: unknown[] = [];
    const bodies: string[] = [];
    const types = new Set<string | undefined>();
    const base = await serve((request, response, body) => {
      keys.push(request.headers['idempotency-key']);
      bodies.push(body);
      types.add(request.headers['content-type']);
      expect(request.url).toBe('/api/v1/imports?node=n1&resolution=300&name=Post');
      if (keys.length === 1) request.socket.destroy();
      else json(response, 201, job());
    });
    expect((await new PlatenClient({ base }).importPDF(file, { node: 'n1', resolution: 300, name: 'Post' })).id).toBe(jobID);
    expect(keys).toHaveLength(2);
    expect(keys[0]).toBe(keys[1]);
    expect(keys[0]).toMatch(/^[!-~]{16,128}$/);
    expect(new Set(bodies)).toEqual(new Set(['%PDF-1.7 …']));
    expect([...types]).toEqual(['application/pdf']);
  });

  it('sends nothing that is too large', async () => {
    const { platen, asked } = await answering(201, job());
    const large = { size: (64 << 20) + 1 } as Blob;
    const error = await platen.importPDF(large).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ProblemError);
    expect(error).toMatchObject({ code: 'body-too-large', status: 413 });
    expect(asked).toEqual([]);
  });
});

describe('a job whose licence is used up', () => {
  it.each([[['partial-license'], 'license'], [['partial-jam'], 'jam'], [['finished-by-user'], undefined], [undefined, undefined]])('of %j ended early for %s', (reasons, want) => {
    expect(partialReason(job({ state: 'completed', ...(reasons ? { reasons } : {}) }))).toBe(want);
  });

  it('is told with its reason before its end, with all pages', async () => {
    const done = job({ state: 'completed', reasons: ['partial-license'], pages: 2 });
    const pages = [page(1, { state: 'committed' }), page(2, { state: 'committed' })];
    const base = await serve((request, response) => {
      if (request.url!.includes('/events')) sse(response)({ id: '1.1', type: 'job-state', job: done });
      else if (request.url!.includes('/pages')) json(response, 200, { items: pages });
      else json(response, 200, done);
    });
    const told: string[] = [];
    const over = deferred();
    new PlatenClient({ base }).followJob(jobID, {
      onPartial: (j, why) => told.push(`partial ${j.id === jobID} ${why}`),
      onEnd: (_j, all) => {
        told.push(`end ${all.length}`);
        over.resolve();
      },
    });
    await over.promise;
    expect(told).toEqual(['partial true license', 'end 2']);
  });
});

describe('PlatenLicences', () => {
  it.each<[string, (l: PlatenLicences) => Promise<unknown>, string?]>([
    ['GET /license', (l) => l.license()],
    ['GET /license/items?limit=200', (l) => l.items({ limit: 200 })],
    ['GET /license/items/i1', (l) => l.item('i1')],
    ['POST /license/items', (l) => l.addItem('key'), '{"key":"key"}'],
    ['PATCH /license/items/i1', (l) => l.suspendItem('i1', true), '{"suspended":true}'],
    ['GET /license/items/i1/seats', (l) => l.seats('i1')],
    ['GET /license/projects', (l) => l.projects()],
    ['POST /license/projects', (l) => l.createProject({ organisation: 'A', code: 'b' }), '{"organisation":"A","code":"b"}'],
    ['PATCH /license/projects/A-b', (l) => l.editProject('A-b', { items: [] }), '{"items":[]}'],
    ['GET /license/usage?by=day&from=2026-11-01', (l) => l.usage({ by: 'day', from: '2026-11-01' })],
    ['GET /license/alerts', (l) => l.alerts()],
    ['PUT /license/alerts', (l) => l.setAlerts({ thresholds: [80], expiryDays: [] }), '{"thresholds":[80],"expiryDays":[]}'],
    ['POST /license/alerts/test', (l) => l.testAlerts()],
  ])('asks %s', async (request, ask, body) => {
    const { platen, asked } = await answering(200, { items: [] });
    await ask(new PlatenLicences(platen));
    expect(asked).toMatchObject([{ request, body: body ?? '' }]);
  });

  it.each<[string, (l: PlatenLicences) => Promise<void>]>([
    ['DELETE /license/items/i1', (l) => l.removeItem('i1')],
    ['DELETE /license/items/i1/seats/7', (l) => l.releaseSeat('i1', 7)],
    ['DELETE /license/projects/A-b', (l) => l.deleteProject('A-b')],
  ])('asks %s', async (request, ask) => {
    const { platen, asked } = await answering(204, undefined);
    await ask(new PlatenLicences(platen));
    expect(asked).toMatchObject([{ request }]);
  });

  it('has addresses for files', () => {
    const licences = new PlatenLicences(new PlatenClient({ base: 'https://scans.example' }));
    expect(licences.usageURL('csv', { from: '2026-11-01', by: 'month' })).toBe('https://scans.example/api/v1/license/usage?from=2026-11-01&by=month&format=csv');
    expect(licences.ledgerURL()).toBe('https://scans.example/api/v1/license/ledger');
  });
});
