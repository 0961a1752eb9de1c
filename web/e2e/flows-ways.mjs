// What the app must do where a gateway stands between: pages that come directly, and pages that are sealed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { chooseScanner, scan } from './phone.mjs';
import { stubRoads, tellRoad } from './roads-stub.mjs';

const gateway = { gateway: true, pace: 900 };
const scanned = async (page) => {
  await page.waitForURL(/\/documents\//);
  await page.locator('.tile').first().waitFor();
};
const address = (page, selector) => page.locator(selector).first().evaluate((image) => new URL(image.src).protocol);

export function ways(check) {
  check('behind a gateway: the line says which way pages come', async ({ page, mock }) => {
    await stubRoads(page);
    await page.goto(mock.url);
    await chooseScanner(page, 'Virtual scanner');
    const line = page.locator('[data-road]');
    await line.waitFor();
    assert.equal(await line.getAttribute('data-road'), 'relay');
    assert.match(await line.textContent(), /Through the gateway/);
    await tellRoad(page, { road: 'webtransport', direct: 'open' });
    await page.locator('[data-road=webtransport][data-direct=open]').waitFor();
    assert.match(await line.textContent(), /Directly from Reception/);
    await scan(page, { source: 'adf' });
    await page.locator('[data-state=growing][data-way=fetched] .painted img').waitFor();
    await page.locator('.live-way [data-road=webtransport]').waitFor();
    await scanned(page);
    await page.locator('.tile [data-way=fetched] img').first().waitFor();
    assert.equal(await address(page, '.tile img'), 'blob:');
    // An image that is there stays when the road is gone, and the next comes by link.
    await tellRoad(page, { road: 'relay', direct: 'idle' });
    await page.locator('.tile > button').first().click();
    await page.locator('.page-stage [data-way=link] img').first().waitFor();
    assert.equal(await address(page, '.page-stage img:not([alt=""])'), 'http:');
  }, gateway);

  check('behind a gateway: the browser asks only after a click on words that say why', async ({ page, mock }) => {
    await stubRoads(page);
    await page.goto(mock.url);
    await chooseScanner(page, 'Virtual scanner');
    await page.locator('[data-road]').waitFor();
    await tellRoad(page, { road: 'relay', direct: 'permission-needed' });
    await page.locator('[data-action=connect-directly]').click();
    assert.match(await page.locator('dialog[open]').textContent(), /Your browser will ask/);
    assert.equal(await page.evaluate(() => globalThis.roadsAsked), undefined);
    await page.locator('[data-action=ask-directly]').click();
    await page.locator('[data-direct=trying]').waitFor();
    assert.equal(await page.evaluate(() => globalThis.roadsAsked), true);
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    await tellRoad(page, { road: 'relay', direct: 'permission-denied' });
    assert.match(await page.locator('[data-direct=permission-denied]').textContent(), /settings/);
    await tellRoad(page, { road: 'relay', direct: 'unverified' });
    assert.match(await page.locator('[data-direct=unverified]').textContent(), /could not prove/);
  }, gateway);

  check('a node itself says nothing of ways', async ({ page, mock }) => {
    await chooseScanner(page, 'Virtual scanner');
    assert.equal(await page.locator('[data-road], .road-line').count(), 0);
    await scan(page, { source: 'adf' });
    await scanned(page);
    assert.equal(await page.locator('[data-way=link]').count(), await page.locator('.tile').count());
    assert.ok(mock);
  });

  check('sealed pages grow, are shown and saved on the device that scanned them', async ({ page, tell }) => {
    await tell({ encryption: 'required', sheets: 2 });
    await chooseScanner(page, 'Virtual scanner');
    await page.locator('.scanner-hero [data-seal=own]').waitFor();
    await scan(page, { source: 'adf' });
    await page.locator('[data-state=growing][data-way=fetched] .painted img').waitFor();
    await page.locator('.live-way [data-seal=own]').waitFor();
    await scanned(page);
    await page.locator('.tile [data-way=fetched] img').first().waitFor();
    await page.locator('.doc-meta [data-seal=own]').waitFor();
    await page.locator('[data-action=done]:enabled').click();
    await page.locator('[data-ready=true]').waitFor();
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('[data-action=save]').click()]);
    const file = readFileSync(await download.path());
    assert.equal(file.subarray(0, 5).toString(), '%PDF-');
    assert.equal(file.subarray(-6).toString().trim(), '%%EOF');
    await page.goto(page.url().replace(/#.*/, ''));
    await page.locator('.tile > button').first().click();
    await page.locator('.page-stage img:not([alt=""])').waitFor();
    await page.locator('.tool').nth(1).click();
    const [picture] = await Promise.all([page.waitForEvent('download'), page.locator('dialog[open] .row').first().click()]);
    assert.deepEqual([...readFileSync(await picture.path()).subarray(0, 2)], [0xff, 0xd8]);
  }, { ...gateway, pace: 4000 });

  check('pages sealed for another device are said, and cannot be saved', async ({ page, tell }) => {
    await tell({ stranger: true });
    await chooseScanner(page, 'Virtual scanner');
    await scan(page, { source: 'adf' });
    await page.locator('.live-stage [data-seal=other]').waitFor();
    await scanned(page);
    await page.locator('.tile [data-seal=other]').first().waitFor();
    assert.equal(await page.locator('.tile img').count(), 0);
    assert.match(await page.locator('.doc-meta [data-seal=other]').textContent(), /Encrypted for another device\. Open it there/);
    await page.locator('[data-action=done]:enabled').click();
    await page.locator('dialog[open] [data-seal=other]').waitFor();
    assert.ok(await page.locator('[data-action=save]').isDisabled());
    await page.goto(new URL('/documents', page.url()).href);
    await page.locator('[data-document] .text [data-seal=other]').waitFor();
  }, gateway);

  check('a sealed page that was changed on its way is not shown, and can be fetched again', async ({ page, tell }) => {
    await tell({ encryption: 'preferred' });
    await chooseScanner(page, 'Virtual scanner');
    await scan(page, { source: 'adf' });
    await scanned(page);
    await tell({ tamper: true });
    await page.goto(page.url());
    await page.locator('.tile [data-seal=changed]').first().waitFor();
    await page.locator('.tile > button').first().click();
    await page.locator('.page-stage [data-seal=changed]').waitFor();
    assert.match(await page.locator('.page-stage [data-seal=changed]').textContent(), /changed on its way/);
    await tell({ tamper: false });
    await page.locator('.page-stage [data-action=again]').click();
    await page.locator('.page-stage img:not([alt=""])').waitFor();
  }, gateway);
}
