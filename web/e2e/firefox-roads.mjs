/** Opens the pairing link --url in Firefox, which trusts the authority in --ca, opens the document at --path and prints whether a page of it came by the SDK. */
import { parseArgs } from 'node:util';
import { startFirefox } from './firefox.mjs';

const text = { type: 'string' };
const { url, ca, path } = parseArgs({ options: { url: text, ca: text, path: text } }).values;
const firefox = await startFirefox({ ca });
try {
  await firefox.goto(url);
  await firefox.evaluate(async () => {
    const there = async (selector) => {
      while (!document.querySelector(selector)) await new Promise((r) => setTimeout(r, 50));
      return document.querySelector(selector);
    };
    (await there('[data-action=redeem]')).click();
    await there('.screen:not(.pair-screen)');
  });
  const seen = await firefox.evaluate(async (to) => {
    const until = async (found) => {
      for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((r) => setTimeout(r, 100))) if (found()) return true;
      return false;
    };
    const said = () => document.querySelector('[data-road]')?.dataset;
    await until(() => said()?.road === 'webtransport'); // the scanner's screen says by which way
    const { road, direct } = said() ?? {};
    history.pushState(null, '', to);
    dispatchEvent(new PopStateEvent('popstate'));
    const shown = () => [...document.querySelectorAll('[data-way=fetched] img')].some((image) => image.naturalWidth > 0);
    await until(() => document.querySelector('li.tile > button'));
    document.querySelector('li.tile > button')?.click();
    return { road, direct, shown: await until(shown) };
  }, path);
  process.stdout.write(`${JSON.stringify(seen)}\n`);
} finally {
  await firefox.close();
}
