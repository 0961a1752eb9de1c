/**
 * What the app must do, against the stand-in service: one check a line, each from a fresh browser.
 *
 *     npm run test:browser --prefix web [-- --only WORD]
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chooseScanner, launch, open, savePDF, scan, watch } from './phone.mjs';
import { loadMock } from './mock.mjs';

const { values: given } = parseArgs({ options: { only: { type: 'string' } } });
const { startMock, end } = await loadMock();
const checks = [];
const check = (name, run) => checks.push({ name, run });

const scanned = async ({ page }) => {
  await page.waitForURL(/\/documents\//);
  await page.locator('.tile img').first().waitFor();
};
const order = (page) => page.locator('.tile').evaluateAll((tiles) => tiles.map((t) => Number(t.dataset.key.split('/')[1])));
const saved = (page) => page.waitForFunction(() => !document.querySelector('.unsaved'));
const jobs = async (mock) => (await (await fetch(`${mock.url}/api/v1/jobs`)).json()).items;
const eventually = async (probe, want) => {
  let got;
  for (const until = Date.now() + 10_000; Date.now() < until; await new Promise((r) => setTimeout(r, 50))) {
    got = await probe();
    if (JSON.stringify(got) === JSON.stringify(want)) return;
  }
  assert.deepEqual(got, want);
};

check('five quick taps are one scan', async ({ page, mock }) => {
  await chooseScanner(page, 'Virtual scanner');
  await page.evaluate(() => {
    const preset = document.querySelector('[data-preset=document]');
    for (let i = 0; i < 5; i++) preset.click();
  });
  await page.waitForURL(/\/jobs\//);
  assert.equal((await jobs(mock)).length, 1);
});

check('three taps from the scanner to the file', async ({ page, mock }) => {
  await chooseScanner(page, 'Virtual scanner');
  await page.locator('[data-preset=document]:enabled').click();
  await scanned({ page });
  await page.locator('[data-action=done]:enabled').click();
  await page.locator('[data-ready=true]').waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('[data-action=save]').click()]);
  assert.match(download.suggestedFilename(), /^\d{4}-\d\d-\d\d Scan\.pdf$/);
  assert.equal(readFileSync(await download.path()).subarray(0, 5).toString(), '%PDF-');
  await page.locator('[data-action=new-scan]').click();
  await page.waitForURL(/\/jobs\//);
  assert.equal((await jobs(mock)).length, 2);
});

check('stop keeps the pages', async ({ page, mock }) => {
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { preset: 'both-sides' });
  await page.locator('.strip li[data-n="2"]').waitFor();
  await page.locator('[data-action=stop]').click();
  await page.locator('[data-asked=finish]').waitFor();
  await scanned({ page });
  const [job] = await jobs(mock);
  assert.equal(job.state, 'completed');
  assert.equal(Number(await page.locator('[data-pages]').getAttribute('data-pages')), job.pages);
  assert.ok(job.pages >= 2 && job.pages < 10);
});

check('cancel before the first page leads back', async ({ page, mock, tell }) => {
  await tell({ feeder: 'empty' });
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { source: 'adf' });
  await page.locator('.stop-body').waitFor();
  await page.locator('[data-action=finish]').click();
  await page.locator('[data-preset]').first().waitFor();
  await eventually(async () => (await jobs(mock))[0].state, 'canceled');
});

check('an empty feeder goes on by itself when paper comes', async ({ page, tell }) => {
  await tell({ feeder: 'empty' });
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { source: 'adf' });
  await page.locator('.stop-body').waitFor();
  await tell({ feeder: 'loaded' });
  await scanned({ page });
  assert.equal((await order(page)).length, 5);
});

check('a jam is said, and continued without gap or double', async ({ page, tell }) => {
  await tell({ stop: { page: 3, reason: 'jam' } });
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { source: 'adf' });
  await page.locator('[data-reason=jam]').waitFor();
  assert.match(await page.locator('dialog[open]').textContent(), /2 pages are safe\. Page 3 was not scanned/);
  await page.locator('[data-action=resume]').click();
  await scanned({ page });
  assert.deepEqual(await order(page), [1, 2, 3, 4, 5]);
  assert.equal(await page.locator('dialog[open], .banner').count(), 0);
});

check('a jam is finished with what there is, and says so', async ({ page, tell }) => {
  await tell({ stop: { page: 3, reason: 'jam' } });
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { source: 'adf' });
  await page.locator('.stop-body').waitFor();
  await page.locator('[data-action=finish]').click();
  await scanned({ page });
  assert.match(await page.locator('.banner').textContent(), /The scan ended early\. 2 pages are kept\./);
});

check('several sheets on the glass', async ({ page }) => {
  await chooseScanner(page, 'Virtual scanner');
  await page.locator('[data-action=all-settings]').click();
  await page.locator('[data-setting=source] label[data-value=platen]').click();
  await page.locator('[data-setting=sheets] label[data-value=more]').click();
  await page.locator('[data-action=scan]').click();
  for (let n = 1; n < 3; n++) {
    await page.locator('[data-reason=next-sheet]').waitFor();
    await page.locator('[data-action=resume]').click();
    await page.locator(`.strip li[data-n="${n + 1}"]`).waitFor();
  }
  await page.locator('[data-action=finish]').click();
  await scanned({ page });
  assert.deepEqual(await order(page), [1, 2, 3]);
  await page.locator('[data-action=next-glass]').click();
  await page.waitForURL(/\/jobs\//);
  await scanned({ page });
  await eventually(async () => (await order(page)).length, 4);
});

check('edits: move 5 to 2 by tapping, remove, undo, reload, undo', async ({ page, mock }) => {
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { source: 'adf' });
  await scanned({ page });
  const id = page.url().match(/documents\/([^?#]+)/)[1];
  const stored = async () => (await (await fetch(`${mock.url}/api/v1/documents/${id}`)).json()).pages.map((p) => `${p.n}${p.rotate ? `@${p.rotate}` : ''}`).join(' ');
  await page.getByRole('button', { name: 'Select', exact: true }).click();
  await page.locator('.tile').nth(4).locator('button').click();
  await page.getByRole('button', { name: 'Move' }).click();
  await page.locator('[data-after="1"]').click();
  assert.deepEqual(await order(page), [1, 5, 2, 3, 4]);
  await saved(page);
  await eventually(stored, '1 5 2 3 4');
  await page.getByRole('button', { name: 'Select', exact: true }).click();
  for (const i of [0, 2]) await page.locator('.tile').nth(i).locator('button').click();
  await page.getByRole('toolbar').getByRole('button', { name: 'Rotate' }).click();
  await page.getByRole('toolbar').getByRole('button', { name: 'Delete' }).click();
  await eventually(stored, '5 3 4');
  await page.locator('.toast button').click();
  await eventually(stored, '1@90 5 2@90 3 4');
  await page.reload();
  await page.locator('.tile img').first().waitFor();
  await page.locator('.topbar').getByRole('button', { name: 'Undo' }).click();
  await eventually(stored, '1 5 2 3 4');
  await page.keyboard.press('Control+z');
  await eventually(stored, '1 2 3 4 5');
});

check('edits by keys alone', async ({ page }) => {
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { source: 'adf' });
  await scanned({ page });
  await page.locator('.tile button').first().focus();
  await page.keyboard.press('Alt+ArrowRight');
  assert.deepEqual(await order(page), [2, 1, 3, 4, 5]);
  await page.keyboard.press('Home');
  await page.keyboard.press('Delete');
  assert.deepEqual(await order(page), [1, 3, 4, 5]);
  await page.keyboard.press('Control+z');
  assert.deepEqual(await order(page), [2, 1, 3, 4, 5]);
});

check('edits survive an outage', async ({ page, mock, tell }) => {
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { source: 'adf' });
  await scanned({ page });
  const id = page.url().match(/documents\/([^?#]+)/)[1];
  await tell({ down: true });
  await page.locator('.tile button').first().focus();
  await page.keyboard.press('Delete');
  assert.deepEqual(await order(page), [2, 3, 4, 5]);
  await page.locator('.unsaved').waitFor();
  await tell({ down: false });
  await saved(page);
  const document = await (await fetch(`${mock.url}/api/v1/documents/${id}`)).json();
  assert.deepEqual(document.pages.map((p) => p.n), [2, 3, 4, 5]);
});

check('the page grows, also after its stream broke', async ({ page, tell }) => {
  await tell({ cut: 2 });
  const seen = [];
  await watch(page, (kind, value) => seen.push(`${kind} ${value}`));
  await page.reload();
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { source: 'adf' });
  await scanned({ page });
  assert.ok(seen.includes('grew 1') && seen.includes('grew 2') && seen.includes('grew 3'), seen.join(', '));
});

check('a page of unknown height grows downward', async ({ page, tell }) => {
  await tell({ unknownHeight: true });
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { source: 'adf' });
  const height = () => page.locator('[data-state=growing]').evaluate((e) => e.getBoundingClientRect().height / e.getBoundingClientRect().width);
  await page.waitForFunction(() => Number(document.querySelector('[data-state=growing]')?.dataset.lines) > 800);
  const early = await height();
  await page.waitForFunction((h) => {
    const box = document.querySelector('[data-state=growing]')?.getBoundingClientRect();
    return box && box.height / box.width > h;
  }, early);
  await scanned({ page });
});

check('an outage is said, and its end brings the true state', async ({ page, tell }) => {
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { preset: 'both-sides' });
  await page.locator('.strip li[data-n="2"]').waitFor();
  await tell({ down: true });
  await page.locator('.connection').waitFor();
  assert.match(await page.locator('.connection').textContent(), /The scanner keeps going and keeps your pages/);
  await tell({ down: false });
  await scanned({ page });
  assert.deepEqual(await order(page), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await page.locator('.connection').waitFor({ state: 'detached' });
});

check('another screen leads back to the running scan', async ({ page }) => {
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { preset: 'both-sides' });
  await page.locator('.strip li[data-n="1"]').waitFor();
  assert.match(await page.title(), /^\(\d+\) Scanning$/);
  await page.locator('.strip button').first().click();
  await page.locator('.page-stage img').first().waitFor();
  await page.locator('.pill').click();
  await page.waitForURL(/\/jobs\//);
  await scanned({ page });
});

check('Back closes a sheet, then the page, then the grid', async ({ page }) => {
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { source: 'adf' });
  await scanned({ page });
  await page.locator('.tile button').nth(1).click();
  await page.locator('.page-stage').waitFor();
  await page.locator('.tool', { hasText: 'Save picture' }).click();
  await page.locator('dialog[open]').waitFor();
  await page.goBack();
  await page.locator('dialog[open]').waitFor({ state: 'detached' });
  await page.locator('.page-stage').waitFor();
  await page.goBack();
  await page.locator('.grid').waitFor();
});

check('the settings are remembered', async ({ page }) => {
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { source: 'adf-duplex', mode: 'gray', options: { brightness: '20', rotate: 'yes' } });
  await scanned({ page });
  await page.goto(new URL('/', page.url()).href);
  await page.locator('[data-action=all-settings]:enabled').click();
  assert.ok(await page.locator('[data-setting=sides] [data-value=both] input').isChecked());
  assert.ok(await page.locator('[data-setting=mode] [data-value=gray] input').isChecked());
  await page.locator('details.more summary').click();
  assert.equal(await page.locator('[data-option=brightness]').inputValue(), '20');
  assert.ok(await page.locator('[data-option=rotate] input').isChecked());
});

check('a refused scan says why', async ({ page, tell }) => {
  await chooseScanner(page, 'Virtual scanner');
  await tell({ problem: { code: 'disk-low', status: 507 } });
  await page.locator('[data-preset=photo]').click();
  await page.locator('[role=alert]').waitFor();
  assert.match(await page.locator('[role=alert]').textContent(), /no room for another page.*Code for support: disk-low/s);
});

check('the name becomes the file’s', async ({ page }) => {
  await chooseScanner(page, 'Virtual scanner');
  await scan(page, { source: 'platen' });
  await scanned({ page });
  await page.locator('.topbar .name').click();
  await page.locator('dialog[open] input').fill('Lease 4/2026');
  await page.locator('dialog[open] .primary').click();
  await saved(page);
  const folder = mkdtempSync(join(tmpdir(), 'platen-'));
  assert.equal(await savePDF(page, join(folder, 'x.pdf')), 'Lease 4-2026.pdf');
  rmSync(folder, { recursive: true });
});

let failed = 0;
const chosen = checks.filter((c) => !given.only || c.name.includes(given.only));
for (const { name, run } of chosen) {
  const mock = await startMock({ pace: 300 });
  const phone = await launch();
  phone.page.setDefaultTimeout(20_000);
  const tell = (state) => fetch(`${mock.url}/mock`, { method: 'POST', body: JSON.stringify(state) });
  try {
    await open(phone.page, mock.url);
    await run({ ...phone, mock, tell });
    assert.deepEqual(phone.faults, []);
    console.log(`ok    ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}\n      ${String(error.message).split('\n').slice(0, 6).join('\n      ')}`);
  }
  await phone.close();
  await mock.close();
}
await end();
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
