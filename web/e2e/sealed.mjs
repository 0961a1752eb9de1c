/**
 * The SDK's encryption in a real browser: the key of this device in IndexedDB over reloads, tabs and private windows, what the node
 * sealed for a known key, and how fast a page opens. Needs nothing but Chromium: node e2e/sealed.mjs
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { build } from 'esbuild';
import { startChromium } from './chromium.mjs';

const source = `
  import { DeviceKey, IndexedKeys } from './seal/device.js';
  import { ChunkOpener, openBody, opensAhead } from './seal/chunks.js';
  import { fromBase64URL, parseSealed } from './seal/header.js';
  import { unwrap } from './seal/hpke.js';
  Object.assign(window, { DeviceKey, IndexedKeys, ChunkOpener, openBody, opensAhead, fromBase64URL, parseSealed, unwrap });
`;
const script = await build({
  stdin: { contents: source, resolveDir: new URL('../sdk/src', import.meta.url).pathname, loader: 'ts' }, bundle: true, write: false, format: 'iife',
});
const server = createServer((request, response) => {
  if (request.url === '/sdk.js') response.setHeader('Content-Type', 'text/javascript').end(script.outputFiles[0].text);
  else response.setHeader('Content-Type', 'text/html').end('<script src="/sdk.js"></script>');
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://localhost:${server.address().port}/`;
const browser = await startChromium();
try {
  const context = await browser.newContext();
  const open = async (where = context) => {
    const page = await where.newPage();
    await page.goto(origin);
    return page;
  };
  const recipient = (page) => page.evaluate(() => new DeviceKey().recipient());
  const [one, two] = [await open(), await open()];
  const keys = await Promise.all([recipient(one), recipient(two), recipient(one), recipient(two)]);
  assert.equal(new Set(keys).size, 1, 'two tabs have one key');
  assert.match(keys[0], /^B[A-Za-z0-9_-]{86}$/);
  await one.reload();
  assert.equal(await recipient(one), keys[0], 'the key outlasts a reload');
  const exported = await one.evaluate(async () => {
    const { privateKey } = await new IndexedKeys().load();
    return crypto.subtle.exportKey('pkcs8', privateKey).then(() => 'exported', (error) => error.name);
  });
  assert.equal(exported, 'InvalidAccessError', 'nobody reads the private key');
  const other = await open(await browser.newContext());
  assert.equal(await other.evaluate(async () => (await new DeviceKey().own()) === undefined), true, 'another browser has none');
  assert.notEqual(await recipient(other), keys[0]);

  const vectors = JSON.parse(readFileSync(new URL('../sdk/test/testdata/sealed.json', import.meta.url), 'utf8'));
  const opened = await one.evaluate(async (v) => {
    const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const own = {
      private: await crypto.subtle.importKey('pkcs8', bytes(v.private), { name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits']),
      point: fromBase64URL(v.recipient),
    };
    const wrong = [];
    for (const { name, of, header, body, plain } of v.good) {
      const key = await unwrap(own, of, parseSealed(header));
      if (body === undefined) continue;
      const got = new Uint8Array(await new Response(openBody(new Blob([bytes(body)]).stream(), key)).arrayBuffer());
      if (got.length !== plain || !got.every((b, i) => b === ((i * 7 + (i >> 8)) & 0xff))) wrong.push(name);
    }
    return wrong;
  }, vectors);
  assert.deepEqual(opened, [], 'what the node sealed opens');

  const rate = await one.evaluate(async () => {
    const chunks = 400;
    const raw = new Uint8Array(32);
    const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt']);
    const sealed = [];
    for (let i = 0; i < chunks; i++) {
      const iv = new Uint8Array(12);
      new DataView(iv.buffer).setBigUint64(3, BigInt(i));
      sealed.push(new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, new Uint8Array(65_536))));
    }
    const opener = new ChunkOpener(key);
    const began = performance.now();
    const opening = [];
    for (const chunk of sealed) {
      opening.push(...opener.take(chunk));
      while (opening.length > opensAhead) await opening.shift();
    }
    await Promise.all(opening);
    return Math.round((chunks * 65_536) / 1000 / (performance.now() - began));
  });
  console.log(`sealed: ok, opens ${rate} MB/s`);
} finally {
  await browser.close();
  server.close();
}
