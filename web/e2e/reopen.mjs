/**
 * Closes the browser in mid-job and opens another one with the same profile: it must show the
 * job's true state.
 *
 *     node web/e2e/reopen.mjs --url URL --source adf --profile DIR
 */
import { chooseScanner, launch, main, open, options, pair, patience, print, receive, scan, watch } from './phone.mjs';

const given = options();

await main(async () => {
  const first = await launch(given);
  const halfway = new Promise((resolve) => {
    void watch(first.page, (kind, value) => {
      print(`first: ${kind} ${value}`);
      if (kind === 'committed' && value >= 2) resolve();
    });
  });
  await open(first.page, given.url);
  await pair(first.page, given.code);
  await chooseScanner(first.page, given.scanner);
  const job = await scan(first.page, { ...given, options: JSON.parse(given.options ?? '{}') });
  await halfway;
  const { href, origin } = new URL(first.page.url());
  await first.keep();
  await first.close();

  const second = await launch(given);
  const seen = [];
  await watch(second.page, (kind, value) => {
    print(`second: ${kind} ${value}`);
    seen.push(`${kind} ${value}`);
  });
  await open(second.page, origin);
  await second.page.locator('.pill, .doc-screen').first().waitFor();
  const pill = (await second.page.locator('.pill').count()) > 0 ? await second.page.locator('.pill').textContent() : undefined;
  await open(second.page, href);
  await second.page.waitForURL(/\/documents\//, { timeout: 3 * patience });
  await second.page.locator('[data-pages]').waitFor();
  const result = await receive(second.page, job);
  await second.close();
  return { ...result, pill, seen };
});
