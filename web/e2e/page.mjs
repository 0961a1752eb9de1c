/**
 * A page in a browser that does as it is told: reads lines of JSON {id, code} from its standard
 * input, runs each code as the body of an async function in the page, and prints
 * "result ID JSON" or "failed ID WORDS". What the page tells by itself, with tell(…), is printed as "told JSON".
 *
 *     node web/e2e/page.mjs --url PAIRING_LINK [--code CODE] [--locale de-DE] [--flags CHROMIUM_FLAGS]
 *
 * The page is the service's own, signed in; the SDK is there as `Platen`, from web/sdk/dist.
 */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startChromium } from './chromium.mjs';
import { open, pair, patience, print } from './phone.mjs';

const text = { type: 'string' };
const given = parseArgs({ options: { url: text, code: text, locale: text, flags: text } }).values;
const sdk = fileURLToPath(new URL('../sdk/dist', import.meta.url));

const browser = await startChromium({ args: given.flags ? given.flags.split(' ') : [] });
const context = await browser.newContext({ viewport: { width: 390, height: 844 }, locale: given.locale ?? 'en-GB' });
await context.route('**/e2e-sdk/**', (route) =>
  route.fulfill({ path: sdk + new URL(route.request().url()).pathname.replace('/e2e-sdk', ''), contentType: 'text/javascript' }));
const page = await context.newPage();
page.setDefaultTimeout(patience);
page.on('pageerror', (error) => print(`pageerror ${error}`));
await page.exposeFunction('tell', (what) => print(`told ${JSON.stringify(what)}`));
await open(page, given.url);
await pair(page, given.code);
await page.evaluate(async () => (globalThis.Platen = await import('/e2e-sdk/index.js')));
print('page is ready');

const work = new Set();
for await (const line of createInterface({ input: process.stdin })) {
  const { id, code } = JSON.parse(line);
  const one = page.evaluate(`(async () => { ${code} })()`).then(
    (value) => print(`result ${id} ${JSON.stringify(value ?? null)}`),
    (error) => print(`failed ${id} ${JSON.stringify(String(error?.message ?? error))}`),
  );
  work.add(one);
  void one.finally(() => work.delete(one));
}
await Promise.all(work);
await browser.close();
