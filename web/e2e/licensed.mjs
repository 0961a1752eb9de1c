/**
 * A page of another origin that scans under licences. For each of --terms (a JSON list of options of
 * `connect`) it prints what the SDK finds, and what became of a scan of --pages sheets.
 */
import { parseArgs } from 'node:util';
import { startChromium } from './chromium.mjs';
import { print } from './phone.mjs';

const text = { type: 'string' };
const { page: url, base, terms, pages } = parseArgs({ options: { page: text, base: text, terms: text, pages: text } }).values;
const browser = await startChromium({ args: [`--host-resolver-rules=MAP ${new URL(url).hostname} 127.0.0.1`] });
const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
const page = await context.newPage();
const devtools = await browser.newBrowserCDPSession();
const { targetInfo } = await (await context.newCDPSession(page)).send('Target.getTargetInfo');
for (const name of ['loopback-network', 'local-network']) {
  await devtools.send('Browser.setPermission', {
    permission: { name }, setting: 'granted', origin: new URL(url).origin, browserContextId: targetInfo.browserContextId,
  });
}
await page.goto(url);
const found = [];
for (const options of JSON.parse(terms)) {
  found.push(await page.evaluate(async ({ base, options, pages }) => {
    const { connect } = await import('/sdk/index.js');
    const told = (error) => ({ code: error.code, title: error.title, detail: error.detail, next: error.next });
    try {
      const connection = await connect({ base, ...options });
      const { state, error } = connection.now;
      if (state !== 'ready') return { state, ...(error ? told(error) : {}) };
      const { items } = await connection.platen.scanners();
      let job;
      try {
        job = await connection.platen.createJob(items[0].id, { settings: { source: 'adf', resolution: 75, pages, options: { pace: 'off' } } });
      } catch (refused) {
        return { state, kind: connection.license?.kind, ...told(refused) };
      }
      while (!['completed', 'aborted', 'canceled'].includes(job.state)) {
        await new Promise((r) => setTimeout(r, 100));
        job = await connection.platen.job(job.id);
      }
      const last = await connection.platen.downloadPage(job.id, job.pages);
      return { state, kind: connection.license?.kind, pages: job.pages, reasons: job.reasons, bytes: last.bytes.length };
    } catch (thrown) {
      return told(thrown);
    }
  }, { base, options, pages: Number(pages) }));
  print(JSON.stringify(found.at(-1)));
}
print(JSON.stringify({ found }));
await browser.close();
