/**
 * An administrator's phone: a node wants to join, and is let in by one tap; then the phone scans
 * with it.
 *
 *     node web/e2e/nearby.mjs --url PAIRING_LINK [--shots DIR]
 *
 * Prints "waiting NAME", and at its end the symbols that it showed.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chooseScanner, launch, main, open, options, pair, patience, print, receive, scan } from './phone.mjs';

const given = options();

await main(async () => {
  const phone = await launch(given);
  const { page } = phone;
  const picture = async (name) => {
    if (!given.shots) return;
    mkdirSync(given.shots, { recursive: true });
    await page.screenshot({ path: join(given.shots, `${name}.png`) });
  };
  await open(page, given.url);
  await pair(page);
  await page.goto(new URL('/nodes', given.url).href);
  const node = page.locator('[data-waiting]').first();
  await node.waitFor();
  const name = await node.getAttribute('data-waiting');
  print(`waiting ${name}`);
  const symbols = (await node.locator('.check').first().getAttribute('aria-label')).replace(/ /g, '');
  const approve = node.locator('[data-action=approve]:enabled');
  await approve.waitFor();
  await picture('wants-to-join');
  await approve.click(); // the one tap
  await node.waitFor({ state: 'detached' });
  await page.locator(`[data-node="${name}"]`).waitFor();
  await picture('joined');
  await page.goto(new URL('/', given.url).href);
  await chooseScanner(page);
  const job = await scan(page, { preset: 'document' });
  await page.locator('.doc-screen').waitFor({ timeout: 3 * patience });
  await picture('scanned');
  const result = await receive(page, job);
  const { faults } = phone;
  await phone.close();
  return { ...result, symbols, faults };
});
