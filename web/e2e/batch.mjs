/**
 * Scans a batch, or follows one that runs, to its end, and fetches every page in the browser.
 *
 *     node web/e2e/batch.mjs --url URL --source adf [--resolution 300] [--options '{"read-delay":"yes"}']
 *         [--when-stopped finish|continue] [--profile DIR] [--follow]
 *
 * Prints "page N growing", "page N committed", "at PATH" and the words on the screen as they come.
 */
import { answerStops, chooseScanner, launch, main, open, options, pair, patience, print, receive, scan, watch } from './phone.mjs';

const given = options();
const long = 5 * patience;

await main(async () => {
  const phone = await launch(given);
  const { page } = phone;
  const words = [];
  await watch(page, (kind, value) => {
    if (kind === 'says') words.push(value);
    if (kind === 'at') void phone.keep().catch(() => {});
    print(kind === 'growing' || kind === 'committed' ? `page ${value} ${kind}` : `${kind} ${value}`);
  });
  await open(page, given.url);
  await pair(page, given.code);
  await phone.keep();
  let job;
  if (given.follow) job = new URL(given.url).pathname.match(/^\/jobs\/([^/]+)/)?.[1];
  else {
    await chooseScanner(page, given.scanner);
    job = await scan(page, { ...given, options: JSON.parse(given.options ?? '{}') });
    await phone.keep();
  }
  const ended = page.locator('.doc-screen, .screen .empty');
  if (given['when-stopped']) await answerStops(page, given['when-stopped']);
  await ended.first().waitFor({ timeout: long });
  const result = await receive(page, job);
  const { faults } = phone;
  await phone.close();
  return { ...result, words, faults };
});
