/**
 * A page whose name is made to point at the scanner service (DNS rebinding). It is loaded from
 * the attacker, says "loaded", waits for the line "rebound" on standard input, and then tries
 * what such a page can. Prints the status of each attempt that an answer came to.
 */
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { startChromium } from './chromium.mjs';
import { print } from './phone.mjs';

const { url, scanner } = parseArgs({ options: { url: { type: 'string' }, scanner: { type: 'string' } } }).values;
const browser = await startChromium();
const page = await browser.newPage();
await page.goto(url);
if ((await page.title()) !== 'attacker') throw new Error(`not the attacker's page: ${await page.title()}`);
print('loaded');
for await (const line of createInterface(process.stdin)) if (line === 'rebound') break;

const seen = await page.evaluate(async (id) => {
  const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
  const ask = async (method, path, body) => {
    const answer = await fetch(path, { method, body, headers: body ? { 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID?.() ?? 'abcdefghijklmnop' } : {} });
    const text = await answer.text();
    let code = '';
    try { code = JSON.parse(text).code ?? ''; } catch { code = text.slice(0, 40); }
    return { path: `${method} ${path}`, status: answer.status, code };
  };
  // Until the browser has noticed that the name points elsewhere.
  for (let tries = 0; ; tries++) {
    try {
      const first = await ask('GET', '/api/v1/service');
      if (first.code !== 'attacker') break;
    } catch {}
    if (tries > 400) return { error: 'the name was never rebound' };
    await sleep(250);
  }
  const list = [];
  for (const [method, path, body] of [
    ['GET', '/api/v1/service'], ['GET', '/api/v1/scanners'], ['GET', '/api/v1/jobs'], ['GET', '/'],
    ['POST', `/api/v1/scanners/${id}/jobs`, '{"settings":{}}'], ['POST', '/api/v1/pairings', '{}'], ['POST', '/api/v1/sessions', '{}'],
    ['POST', '/api/v1/origins', '{"origin":"https://evil.example"}'], ['POST', '/api/v1/tokens', '{"label":"x","role":"admin"}'],
  ]) list.push(await ask(method, path, body));
  const socket = await new Promise((resolve) => {
    const s = new WebSocket(`ws://${location.host}/api/v1/events`);
    s.onopen = () => resolve('open');
    s.onerror = () => resolve('refused');
  });
  return { list, socket };
}, scanner);
print(JSON.stringify(seen));
await browser.close();
