/**
 * The whole path of a user: open, pair if asked, choose the scanner, set the settings, scan, watch
 * the pages grow, and save the PDF.
 *
 *     node web/e2e/scan-pdf.mjs --url URL --source adf-duplex --out scan.pdf [--preset both-sides] [--scanner NAME] [--shots DIR]
 */
import { camera, chooseScanner, launch, main, open, options, pair, patience, print, savePDF, scan, watch } from './phone.mjs';

const given = options();

await main(async () => {
  const phone = await launch(given);
  const { page } = phone;
  const shot = camera(page, given.shots);
  const grew = [];
  const words = [];
  let shots = Promise.resolve();
  await watch(page, (kind, value) => {
    print(kind === 'growing' || kind === 'committed' ? `page ${value} ${kind}` : `${kind} ${value}`);
    if (kind === 'grew') {
      grew.push(value);
      if (grew.length === 3) shots = shots.then(() => shot('growing'));
    }
    if (kind === 'says') words.push(value);
  });
  await open(page, given.url);
  const paired = await pair(page, given.code);
  await chooseScanner(page, given.scanner);
  await shot('scanner');
  const job = await scan(page, { ...given, options: JSON.parse(given.options ?? '{}') });
  await page.waitForURL(/\/documents\//, { timeout: 3 * patience });
  await page.locator('.tile img').first().waitFor();
  const pages = Number(await page.locator('[data-pages]').getAttribute('data-pages'));
  await shots;
  await shot('grid');
  const name = await savePDF(page, given.out);
  await shot('saved');
  const { faults } = phone;
  await phone.close();
  return { job, pages, grewBeforeCommit: grew.length > 0, grew, name, paired, words, faults };
});
