import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PlatenClient, type RoadState } from '../src/index.js';
import { overSocket } from './duplex.js';
import { job, jobID, json, problem, serve } from './server.js';
import { Signer } from './signer.js';

const image = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 31 + (i >> 7)) & 0xff));
const head = { 'Content-Type': 'image/jpeg', ETag: '"one"', 'Repr-Digest': `sha-256=:${createHash('sha256').update(image).digest('base64')}:` };
const documentID = job().document;

afterEach(() => vi.unstubAllGlobals());

/** A gateway, and a node that a browser's WebTransport reaches. */
async function world(): Promise<{ base: string; relayed: string[]; direct: string[]; node: Signer }> {
  const node = await Signer.make();
  const [relayed, direct] = [[] as string[], [] as string[]];
  const near = await serve((request, response, body) => {
    direct.push(`${request.method} ${request.url}`);
    expect(request.headers.authorization).toBeUndefined();
    if (request.url === '/api/v1/road') return json(response, 200, { node: node.id, expires: new Date(Date.now() + 60_000).toISOString(), body });
    response.writeHead(200, { ...head, 'Content-Length': image.length }).end(image);
  });
  const base = await serve((request, response) => {
    const { url } = request;
    relayed.push(`${request.method} ${url}`);
    expect(request.headers.authorization).toBe('Bearer secret');
    if (url === `/api/v1/jobs/${jobID}`) return json(response, 200, job({ node: node.id }));
    if (url === `/api/v1/documents/${documentID}`) return json(response, 200, { id: documentID, node: node.id });
    if (url?.includes('/pages/') || url?.includes('/content')) return void response.writeHead(200, { ...head, 'Content-Length': image.length }).end(image);
    if (url !== `/api/v1/nodes/${node.id}/roads`) return problem(response, 404, 'not-found');
    const [iat, exp] = [-1000, 60_000].map((ms) => new Date(Date.now() + ms).toISOString());
    const hashes = [Buffer.alloc(32, 7).toString('base64url')];
    void node.sign({ node: node.id, iat, exp, webtransport: ['https://203.0.113.5:18623/road'], hashes }).then((statement) =>
      json(response, 200, { grant: 'g', expires: exp, near: false, network: 'n', statement }),
    );
  });
  class FakeWebTransport {
    readonly ready = Promise.resolve();
    readonly closed = new Promise(() => {});
    constructor(url: string, { serverCertificateHashes: [hash] }: { serverCertificateHashes: { algorithm: string; value: Uint8Array }[] }) {
      expect(url).toBe('https://203.0.113.5:18623/road');
      expect(hash).toEqual({ algorithm: 'sha-256', value: new Uint8Array(32).fill(7) });
    }
    async createBidirectionalStream(): Promise<unknown> {
      return overSocket(connect(Number(new URL(near).port), '127.0.0.1'));
    }
    close(): void {}
  }
  vi.stubGlobal('WebTransport', FakeWebTransport);
  return { base, relayed, direct, node };
}

describe('a client with roads', () => {
  it('fetches pages and documents from the node, and everything else from the gateway', async () => {
    const { base, relayed, direct, node } = await world();
    const platen = new PlatenClient({ base, token: 'secret', roads: true });
    const states: [string, RoadState['road']][] = [];
    platen.roads!.onChange((id, state) => states.push([id, state.road]));
    expect(platen.roads!.state(node.id)).toMatchObject({ road: 'relay', direct: 'idle' });

    const first = await platen.downloadPage(jobID, 1); // nobody knows yet whose it is
    expect(Buffer.compare(Buffer.from(first.bytes), image)).toBe(0);
    await vi.waitFor(() => expect(platen.roads!.state(node.id)).toMatchObject({ road: 'webtransport', direct: 'open' }), { timeout: 5000 });
    expect(relayed).toContain(`GET /api/v1/jobs/${jobID}`);
    expect(states.at(-1)).toEqual([node.id, 'webtransport']);

    relayed.length = direct.length = 0;
    await platen.downloadPage(jobID, 2);
    expect((await platen.pageImage(jobID, 3)).size).toBe(image.length);
    platen.roads!.learn({ items: [{ id: documentID, node: node.id }] });
    expect((await (await platen.documentContent(documentID, 'zip')).arrayBuffer()).byteLength).toBe(image.length);
    await platen.job(jobID);
    expect(direct).toEqual([`GET /api/v1/jobs/${jobID}/pages/2`, `GET /api/v1/jobs/${jobID}/pages/3`, `GET /api/v1/documents/${documentID}/content?format=zip`]);
    expect(relayed).toEqual([`GET /api/v1/jobs/${jobID}`]);

    platen.roads!.close();
    await platen.downloadPage(jobID, 4);
    expect(relayed).toContain(`GET /api/v1/jobs/${jobID}/pages/4`);
  });

  it('opens a road with the job', async () => {
    const { base, node } = await world();
    const platen = new PlatenClient({ base, token: 'secret', roads: { kinds: ['webtransport'] } });
    platen.roads!.prepare(node.id);
    await vi.waitFor(() => expect(platen.roads!.state(node.id).direct).toBe('open'), { timeout: 5000 });
    platen.roads!.close();
  });

  it('goes by the gateway alone if that is what the page wants', async () => {
    const { base, relayed, direct } = await world();
    const platen = new PlatenClient({ base, token: 'secret' });
    expect(platen.roads).toBeUndefined();
    await platen.downloadPage(jobID, 1);
    expect([relayed.length, direct.length]).toEqual([1, 0]);
  });
});
