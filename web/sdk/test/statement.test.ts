import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { UnverifiedError, fromBase64URL, nodeID, verifyStatement } from '../src/road/statement.js';
import { Signer } from './signer.js';

interface Vector {
  node: string;
  chain: string[] | null;
  token: string;
  now: number;
  ok: boolean;
}

let vectors: Vector[] = [];
beforeAll(async () => {
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  vectors = await new Promise((resolve, reject) =>
    execFile('go', ['run', './statements'], { cwd, maxBuffer: 1 << 26 }, (error, out) => (error ? reject(error) : resolve(JSON.parse(out) as Vector[]))),
  );
}, 120_000);

const verify = (v: Vector): Promise<unknown> => verifyStatement(v.token, v.chain ?? [], v.node, v.now);

describe('verifyStatement', () => {
  it('finds of what a node signs what the Go code finds', async () => {
    expect(vectors.filter(({ ok }) => ok).length).toBeGreaterThan(15);
    for (const [i, v] of vectors.entries()) {
      const ok = await verify(v).then(() => true, (error: unknown) => (expect(error).toBeInstanceOf(UnverifiedError), false));
      expect(ok, `vector ${i}: ${JSON.stringify(v).slice(0, 200)}`).toBe(v.ok);
    }
  });

  it('reads what a node says', async () => {
    const good = vectors.find(({ ok }) => ok)!;
    expect(await verifyStatement(good.token, good.chain ?? [], good.node, good.now)).toEqual({
      expires: Date.parse('2026-11-22T11:00:00Z'),
      webtransport: ['https://192.168.1.5:18623/road', 'https://[fd00::5]:18623/road'],
      hashes: [fromBase64URL(`${'A'.repeat(42)}I`), fromBase64URL(`${'_'.repeat(42)}8`)],
      fingerprint: fromBase64URL(`${'b'.repeat(42)}g`),
    });
  });

  it('takes no token with another character', async () => {
    const good = vectors.filter(({ ok, chain }) => ok && chain?.length === 1)[0]!;
    for (let at = 0; at < good.token.length; at += 3) {
      const token = good.token.slice(0, at) + (good.token[at] === 'A' ? 'B' : 'A') + good.token.slice(at + 1);
      await expect(verify({ ...good, token }), `character ${at}`).rejects.toThrow(UnverifiedError);
    }
    const [link] = good.chain!;
    for (let at = 0; at < link!.length; at += 7) {
      const chain = [link!.slice(0, at) + (link![at] === 'A' ? 'B' : 'A') + link!.slice(at + 1)];
      await expect(verify({ ...good, chain }), `character ${at} of the chain`).rejects.toThrow(UnverifiedError);
    }
  });

  it('tolerates what it does not know, and no nonsense', async () => {
    const node = await Signer.make();
    const now = Date.parse('2026-11-22T10:00:00Z');
    const time = { iat: '2026-11-22T09:59:00Z', exp: '2026-11-22T11:00:00Z' };
    const said = async (claims: object): Promise<unknown> => verifyStatement(await node.sign({ node: node.id, ...time, ...claims }), [], node.id, now);
    expect(await said({ later: { x: 1 }, webtransport: ['http://x/', 'nonsense', 7, 'https://u@x/', 'https://10.0.0.1:1/road'], hashes: ['short', 5] })).toMatchObject({
      webtransport: ['https://10.0.0.1:1/road'], hashes: [], fingerprint: undefined,
    });
    expect(await said({ webtransport: 'https://10.0.0.1/', hashes: {} })).toMatchObject({ webtransport: [], hashes: [] });
    await expect(said({ fingerprint: 'short' })).rejects.toThrow(UnverifiedError);
    await expect(said({ node: 'another' })).rejects.toThrow(UnverifiedError);
    await expect(said({ exp: '2026-11-24T10:00:00Z' })).rejects.toThrow(UnverifiedError);
    await expect(said({ exp: undefined })).rejects.toThrow(UnverifiedError);
    await expect(said({ iat: 5 })).rejects.toThrow(UnverifiedError);
    for (const token of ['', 'v4.public', 'v4.public..', 'v4.local.AAAA.AAAA', `v4.public.${'A'.repeat(9000)}.AAAA`]) {
      await expect(verifyStatement(token, [], node.id, now)).rejects.toThrow(UnverifiedError);
    }
    await expect(verifyStatement(await node.sign({ node: node.id, ...time }, 'platen-road/1'), [], node.id, now)).rejects.toThrow(UnverifiedError);
    await expect(verifyStatement(await node.sign({ node: node.id, ...time }), Array.from({ length: 33 }, () => ''), node.id, now)).rejects.toThrow(UnverifiedError);
  });

  it('makes node IDs as the Go code does', async () => {
    const first = vectors.find(({ chain }) => !chain?.length)!;
    expect(await nodeID(fromBase64URL(first.token.split('.')[3]!)!)).toBe(first.node);
  });
});
