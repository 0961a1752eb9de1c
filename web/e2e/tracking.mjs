/** The page of a licence tracking server: an administrator hands it --key, makes a handshake code, frees a seat and looks at the usage. */
import { parseArgs } from 'node:util';
import { launch, open, pair, print } from './phone.mjs';

const text = { type: 'string' };
const { url, key, shots, locale } = parseArgs({ options: { url: text, key: text, shots: text, locale: text } }).values;
const phone = await launch({ locale });
const { page } = phone;
const tap = (selector) => page.locator(selector).first().click();
const see = (selector) => page.locator(selector).first().waitFor();
const shot = (name) => shots && page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
await open(page, url);
await pair(page);
const at = new URL(page.url()).origin;
await page.goto(`${at}/licences`);
await tap('[data-action=add-item]');
await page.locator('textarea[name=key]').fill(`${key.slice(0, -9)}AAAAAAAAA`);
await tap('[data-action=save]');
await see('dialog .banner.bad');
const refused = await page.locator('dialog .banner.bad').innerText();
await page.locator('textarea[name=key]').fill(key);
await tap('[data-action=save]');
await page.waitForFunction(() => !document.querySelector('dialog[open]'));
if (!page.url().endsWith('/licences')) await page.goto(`${at}/licences`);
await see('[data-item]');
await shot('tracking-home');
const items = await page.locator('[data-item]').count();
print('there is the item');

await page.goto(`${at}/licences/codes`);
await tap('[data-action=make-code]');
await page.locator('dialog input[name=organisation]').fill('ACME').catch(() => {});
await page.locator('dialog input[name=code]').fill('front');
await tap('[data-action=save]');
await see('dialog .command');
const code = await page.locator('dialog .command').innerText();
await shot('tracking-code');
print('there is the code');

for await (const _ of process.stdin) break; // whoever reads has scanned by now
await page.goto(`${at}/licences`);
await tap('[data-item]');
await see('[data-seat]');
await shot('tracking-item');
const seats = await page.locator('[data-seat]').count();
await tap('[data-action=release-seat]');
await tap('[data-action=confirm]');
await page.waitForFunction(() => !document.querySelector('[data-seat]'));
await page.goto(`${at}/licences/usage`);
await see('[data-total]');
const usage = await page.locator('main, [role=main], body').first().innerText();
await shot('tracking-usage');
await phone.close();
print(JSON.stringify({ refused, items, code, seats, usage, faults: phone.faults }));
