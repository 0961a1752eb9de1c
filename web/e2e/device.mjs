/**
 * Decides about programs that ask to be signed in: pairs by --url, then types --allow's code and lets it in, and --refuse's code
 * and does not. Prints what the page said of each.
 */
import { parseArgs } from 'node:util';
import { launch, main, open, pair } from './phone.mjs';

const { url, allow, refuse } = parseArgs({ options: { url: { type: 'string' }, allow: { type: 'string' }, refuse: { type: 'string' } } }).values;

await main(async () => {
  const { page, faults, close } = await launch();
  await open(page, url);
  await pair(page);
  const decide = async (code, action) => {
    await open(page, `${new URL(url).origin}/device`);
    await page.locator('input[name=user-code]').fill(code);
    await page.locator('.pair-form button[type=submit]').click();
    await page.locator(`[data-action=${action}]`).waitFor();
    const asked = await page.locator('.card').innerText();
    await page.locator(`[data-action=${action}]`).click();
    await page.locator('.fill[role=status]').waitFor();
    return asked;
  };
  const asked = [await decide(allow, 'allow'), await decide(refuse, 'refuse')];
  await close();
  return { asked, faults };
});
