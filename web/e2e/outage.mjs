/**
 * Scans while somebody else takes the service away and brings it back; tells what the user reads.
 *
 *     node web/e2e/outage.mjs --url URL --source adf [--shots DIR]
 *
 * Prints "ready for the outage" after the second page. Whoever runs it then stops the service, waits
 * for "says Connection lost…", and starts it again.
 */
import { answerStops, camera, chooseScanner, launch, main, open, options, pair, patience, print, receive, scan, watch } from './phone.mjs';

const given = options();

await main(async () => {
  const phone = await launch(given);
  const { page } = phone;
  const shot = camera(page, given.shots);
  const words = [];
  let lost = 0;
  let told = false;
  await watch(page, (kind, value) => {
    print(kind === 'growing' || kind === 'committed' ? `page ${value} ${kind}` : `${kind} ${value}`);
    if (kind === 'committed' && value >= 2 && !told) {
      told = true;
      print('ready for the outage');
    }
    if (kind === 'says') {
      words.push(value);
      if (/connection/i.test(value)) {
        lost ||= Date.now();
        void shot('lost').catch(() => {});
      }
    }
  });
  await open(page, given.url);
  await pair(page, given.code);
  await chooseScanner(page, given.scanner);
  const job = await scan(page, { ...given, options: JSON.parse(given.options ?? '{}') });
  await answerStops(page, given['when-stopped'] ?? 'continue');
  await page.locator('.doc-screen, .screen .empty').first().waitFor({ timeout: 5 * patience });
  await shot('after');
  const result = await receive(page, job);
  await phone.close();
  return { ...result, lostForMs: lost ? Date.now() - lost : 0, words };
});
