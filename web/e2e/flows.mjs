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
import { ways } from './flows-ways.mjs';
import { loadMock } from './mock.mjs';

const { values: given } = parseArgs({ options: { only: { type: 'string' } } });
const { startMock, end } = await loadMock();
const checks = [];
const check = (name, run, service = {}) => checks.push({ name, run, service });

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

check('a typed code signs in, as it is printed', async ({ page, mock }) => {
  await page.goto(`${mock.url}/scanners`);
  const field = page.locator('input[name=code]');
  await field.pressSequentially('k7qm2x9');
  assert.equal(await field.inputValue(), 'K7QM-2X9');
  assert.ok(await page.locator('button[type=submit]').isDisabled());
  // A symbol in the middle leaves the caret behind it.
  await field.fill('');
  await field.pressSequentially('7qm2x9');
  await field.press('Home');
  await field.pressSequentially('k');
  assert.equal(await field.inputValue(), 'K7QM-2X9');
  assert.equal(await field.evaluate((e) => e.selectionStart), 1);
  await field.fill(' k7qm 2x9p\n');
  assert.equal(await field.inputValue(), 'K7QM-2X9P');
  await page.locator('button[type=submit]').click();
  await page.locator('[data-scanner]').first().waitFor();
  assert.equal(new URL(page.url()).pathname, '/scanners');
}, { pair: true });

check('a link signs in only when tapped, and its secret leaves the address', async ({ page, mock }) => {
  await page.goto(`${mock.url}/#pair=secret-of-the-mock-service`);
  await page.reload();
  await page.locator('[data-action=redeem]').waitFor();
  assert.equal((await fetch(`${mock.url}/api/v1/sessions/current`)).status, 401);
  await page.locator('[data-action=redeem]').click();
  await page.locator('.scanner-hero, [data-scanner]').first().waitFor();
  assert.ok(!page.url().includes('secret'));
}, { pair: true });

check('the office’s sign-in leads back to where one was, and leaves nothing in the address', async ({ page, mock }) => {
  const addresses = [];
  page.on('framenavigated', (frame) => addresses.push(frame.url()));
  await page.goto(`${mock.url}/documents?x=1#menu`);
  await page.locator('[data-action=oidc]').click();
  await page.waitForURL(/\/documents\?x=1#menu$/);
  await page.locator('dialog[open]').waitFor();
  const at = addresses.findIndex((a) => a.includes('code='));
  assert.ok(at >= 0 && addresses.slice(at + 1).some((a) => a.endsWith('/sign-in/done')), addresses.join(' '));
  await page.goBack().catch(() => {});
  assert.ok(!page.url().includes('code='), page.url());
}, { pair: true });

check('the office’s refusal is said, and a strange answer opens nothing', async ({ page, mock, tell }) => {
  await tell({ provider: 'denied' });
  await page.goto(`${mock.url}/documents`);
  await page.locator('[data-action=oidc]').click();
  await page.locator('[data-action=again]').waitFor();
  assert.match(await page.locator('.empty').textContent(), /canceled/);
  await page.locator('[data-action=again]').click();
  await page.waitForURL(/\/documents$/);
  await page.goto(`${mock.url}/sign-in/done?code=of-somebody-else&state=x`);
  await page.locator('[role=alert]').waitFor();
  assert.match(await page.locator('[role=alert]').textContent(), /flow-expired/);
  assert.equal(new URL(page.url()).search, '');
}, { pair: true });

check('a passkey is added, signs in, and is removed', async ({ page, mock, context }) => {
  const cdp = await context.newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
  await page.goto(`${mock.url}/account`);
  await page.locator('input[name=code]').fill('K7QM2X9P');
  await page.locator('button[type=submit]').click();
  await page.locator('[data-session]').first().waitFor();
  await fetch(`${mock.url}/mock`, { method: 'POST', body: JSON.stringify({ named: true }) });
  await page.reload();
  await page.locator('[data-action=add-passkey]').click();
  await page.locator('[data-passkey]').waitFor();
  await page.locator('[data-action=add-passkey]:enabled').click(); // it is there already
  await page.locator('.toast', { hasText: 'already' }).waitFor();
  assert.equal(await page.locator('[data-passkey]').count(), 1);
  await page.getByRole('button', { name: 'Sign out' }).last().click();
  await page.locator('[data-action=passkey]').click();
  await page.locator('[data-passkey]').waitFor();
  await page.locator('[data-passkey] .button').click();
  await page.locator('[data-action=confirm]').click();
  await page.locator('[data-passkey]').waitFor({ state: 'detached' });
}, { pair: true });

check('a web page is allowed by a person only, and only if its origin is exact', async ({ page, mock }) => {
  const origins = async () => (await (await fetch(`${mock.url}/api/v1/origins`)).json()).items.map((o) => o.origin);
  const before = await origins();
  for (const bad of ['https://shop.example/', 'https://user@shop.example', 'HTTPS://shop.example', 'https://shop.example:443', 'null', 'javascript:alert(1)', 'https://', '*', mock.url]) {
    await page.goto(`${mock.url}/allow#origin=${encodeURIComponent(bad)}`);
    await page.reload();
    await page.locator('.empty').waitFor();
    assert.equal(await page.locator('[data-action=allow]').count(), 0, bad);
  }
  await page.goto(`${mock.url}/allow#origin=${encodeURIComponent('https://returns.example:8443')}`);
  await page.reload();
  await page.locator('[data-origin="https://returns.example:8443"]').waitFor();
  assert.ok(await page.locator('[data-action=allow]').isDisabled(), 'a tap that was meant for the page before must not allow');
  assert.deepEqual(await origins(), before);
  await page.locator('[data-action=allow]:enabled').click();
  await page.locator('[role=status] .empty').waitFor();
  assert.deepEqual(await origins(), [...before, 'https://returns.example:8443']);
});

check('a page that asks before one is signed in still asks afterwards', async ({ page, mock }) => {
  await page.goto(`${mock.url}/allow#origin=https%3A%2F%2Freturns.example`);
  await page.locator('input[name=code]').fill('K7QM2X9P');
  await page.locator('button[type=submit]').click();
  await page.locator('[data-origin="https://returns.example"]').waitFor();
}, { pair: true });

check('a line that is lost right after the sign-in does not ask for a code again', async ({ page }) => {
  await page.locator('input[name=code]').fill('K7QM2X9P');
  await page.route('**/api/v1/service', (route) => route.abort(), { times: 1 });
  await page.locator('button[type=submit]').click();
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('[data-scanner], [data-preset]').first().waitFor();
}, { pair: true });

check('who is no administrator cannot allow a page', async ({ page, mock, tell }) => {
  await tell({ role: 'user' });
  await page.goto(`${mock.url}/allow#origin=https%3A%2F%2Freturns.example`);
  await page.reload();
  await page.locator('[role=alert]').waitFor();
  assert.equal(await page.locator('[data-action=allow]').count(), 0);
});

check('a program is let in by its code, or refused', async ({ page, mock }) => {
  await page.goto(`${mock.url}/device`);
  await page.locator('input[name=user-code]').fill('prgm-3333');
  await page.locator('button[type=submit]').click();
  await page.locator('[role=alert]').waitFor();
  await page.locator('input[name=user-code]').fill('prgm-4444');
  await page.locator('button[type=submit]').click();
  await page.locator('[data-action=refuse]').waitFor();
  assert.match(await page.locator('main').textContent(), /platen on reception-pc.*192\.168\.1\.31/s);
  await page.locator('[data-action=refuse]').click();
  await page.locator('.empty', { hasText: 'refused' }).waitFor();
  assert.equal((await fetch(`${mock.url}/api/v1/device-grants/PRGM4444`)).status, 404);
});

check('a person is added, found, locked and deleted', async ({ page, mock, tell }) => {
  await tell({ people: 'many' });
  await page.goto(`${mock.url}/people`);
  await page.locator('input[type=search]').fill('sales');
  assert.deepEqual(await page.locator('[data-person]').evaluateAll((rows) => rows.map((r) => r.dataset.person)), ['Aylin Demir']);
  await page.locator('input[type=search]').fill('');
  await page.locator('[data-action=add-person]').click();
  await page.locator('dialog[open] input').first().fill('Nora Falk');
  await page.locator('dialog[open] select').selectOption('operator');
  await page.locator('dialog[open] input').nth(1).fill(' Post , Post, Ground floor ');
  await page.locator('[data-action=save]').click();
  assert.equal(await page.locator('[data-code]').textContent(), 'K7QM-2X9P');
  await page.locator('.sheet-foot .primary').click();
  const nora = async () => (await (await fetch(`${mock.url}/api/v1/users`)).json()).items.find((u) => u.name === 'Nora Falk');
  assert.deepEqual((await nora()).groups, ['Post', 'Ground floor']);
  await page.locator('[data-person="Nora Falk"]').click();
  await page.locator('[data-option=locked] input').check();
  await page.locator('[data-action=save]').click();
  await page.locator('[data-person="Nora Falk"]', { hasText: 'Locked out' }).waitFor();
  await page.locator('[data-person="Nora Falk"]').click();
  await page.locator('[data-action=delete-person]').click();
  await page.locator('[data-action=confirm]').click();
  await page.locator('[data-person="Nora Falk"]').waitFor({ state: 'detached' });
  // The last administrator stays one.
  await page.locator('[data-person="Maria Weber"]').click();
  await page.locator('dialog[open] select').selectOption('user');
  await page.locator('[data-action=save]').click();
  await page.locator('.toast', { hasText: 'last administrator' }).waitFor();
});

check('a scanner is kept for some', async ({ page, mock }) => {
  await page.goto(`${mock.url}/permissions`);
  await page.locator('[data-action=add-permission]').click();
  await page.locator('select[name=who]').selectOption({ label: 'Ground floor' });
  await page.locator('select[name=where]').selectOption({ index: 1 });
  await page.locator('[data-action=save]').click();
  await page.locator('[data-permission]', { hasText: 'Group Ground floor' }).waitFor();
  const [rule] = (await (await fetch(`${mock.url}/api/v1/permissions`)).json()).items;
  assert.equal(rule.group, 'Ground floor');
  assert.match(rule.scanner, /^[a-z2-7]{16}-s/);
  assert.deepEqual(rule.actions, ['see', 'scan']);
  assert.deepEqual(Object.keys(rule).sort(), ['actions', 'group', 'id', 'scanner']);
  await page.locator('[data-permission] .button').click();
  await page.locator('.empty').waitFor();
});

check('a node is approved by one tap after its symbols were compared, trusted again, drained and found', async ({ page, mock }) => {
  await page.goto(`${mock.url}/nodes`);
  assert.equal(await page.locator('[data-waiting] .check').getAttribute('aria-label'), 'K 7 Q M');
  await page.locator('[data-action=approve]').click();
  await page.locator('[data-node="Copy room PC"]', { hasText: 'Connected' }).waitFor();
  assert.equal(await page.locator('[data-waiting]').count(), 0);
  await page.locator('[data-node=Laboratory]').click();
  await page.locator('[data-action=reinstate]').click();
  await page.locator('[data-node=Laboratory]', { hasText: 'Offline' }).waitFor();
  await page.locator('[data-node=Reception]').click();
  await page.locator('[data-option=draining] input').check();
  await page.locator('[data-action=save]').click();
  await page.locator('[data-node=Reception]', { hasText: 'Finishing' }).waitFor();
  await page.locator('select[name=show]').selectOption('draining');
  assert.deepEqual(await page.locator('[data-node]').evaluateAll((rows) => rows.map((r) => r.dataset.node)), ['Reception', 'Warehouse']);
  await page.reload();
  await page.locator('[data-node]').first().waitFor();
  assert.equal(await page.locator('[data-node]').count(), 2);
}, { gateway: true });

check('“Not mine” keeps a node out', async ({ page, mock }) => {
  await page.goto(`${mock.url}/nodes`);
  await page.locator('[data-action=not-mine]').click();
  await page.locator('[data-action=confirm]').click();
  await page.locator('[data-node="Copy room PC"]', { hasText: 'Blocked' }).waitFor();
}, { gateway: true });

check('a node that asks is seen at once wherever an administrator is', async ({ page, mock, tell }) => {
  await page.goto(`${mock.url}/people`);
  await page.locator('[data-person]').first().waitFor();
  await tell({ asks: 'Basement' });
  await page.locator('.toast', { hasText: '“Basement” wants to join.' }).waitFor();
  await page.goto(`${mock.url}/scanners`);
  await page.locator('[data-joining="2"]').waitFor();
  await tell({ asks: 'Attic' });
  await page.locator('[data-joining="3"]').waitFor();
  await page.locator('[data-action=joining]').click();
  const attic = page.locator('[data-waiting=Attic]');
  await attic.locator('[data-action=approve]:enabled').waitFor();
  assert.equal(await page.locator('[data-waiting] .banner').count(), 0);
  // A button that comes under the finger is not for that tap.
  await tell({ asks: 'attic ' });
  const impostor = page.locator('[data-waiting="attic "]');
  await impostor.locator('.banner', { hasText: 'another key' }).waitFor();
  assert.equal(await impostor.locator('[data-action=approve]').isDisabled(), true);
  await attic.locator('[data-action=approve]').click();
  await page.locator('[data-node=Attic]', { hasText: 'Connected' }).waitFor();
  await impostor.locator('.banner').waitFor();
}, { gateway: true });

check('a node may show a scanner of another one when an administrator says so', async ({ page, mock }) => {
  const warehouse = async () => (await (await fetch(`${mock.url}/api/v1/nodes`)).json()).items.find((n) => n.name === 'Warehouse');
  const [first] = (await warehouse()).presents;
  await page.goto(`${mock.url}/nodes`);
  await page.locator('[data-node=Warehouse]', { hasText: 'Asks to show 2 scanners' }).click();
  await page.locator('[data-wants]', { hasText: 'Asks to show “Virtual scanner”' }).locator('[data-action=allow-present]').click();
  await page.locator('[data-presents]', { hasText: 'Virtual scanner' }).waitFor();
  const [unknown] = (await warehouse()).wants;
  await page.locator('[data-wants]', { hasText: `Scanner …${unknown.slice(-6)}` }).waitFor();
  assert.equal((await warehouse()).presents.length, 2);
  await page.locator('[data-presents]', { hasText: 'Epson' }).locator('[data-action=remove-present]').click();
  await page.locator('[data-presents]', { hasText: 'Epson' }).waitFor({ state: 'detached' });
  const { presents } = await warehouse();
  assert.ok(presents.length === 1 && presents[0] !== first);
}, { gateway: true });

check('a scanner is shared with computers nearby, and no longer', async ({ page, mock }) => {
  await chooseScanner(page, 'Virtual scanner');
  const id = page.url().split('/').at(-1);
  const shared = async () => (await (await fetch(`${mock.url}/api/v1/scanners/${id}`)).json()).shared;
  for (const want of [false, true]) {
    await page.goto(`${mock.url}/scanners/${id}#manage`);
    await page.reload();
    await page.locator('[data-option=shared] input').click();
    await page.locator('[data-action=save]').click();
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    assert.equal(await shared(), want);
  }
});

check('a held scan starts when its owner scans the sticker', async ({ page, mock, tell }) => {
  await tell({ hold: true, role: 'user' });
  await page.reload();
  await chooseScanner(page, 'Virtual scanner');
  await page.locator('[data-preset=document]:enabled').click();
  await page.locator('[data-held]').waitFor();
  assert.equal(await page.locator('[data-code]').textContent(), '482 913');
  const [job] = await jobs(mock);
  await page.goto(`${mock.url}/scanners/${job.scanner}#at=another-sticker`);
  await page.locator('[data-action=start-held]').click();
  await page.locator('.toast', { hasText: 'No scan waits here' }).waitFor();
  assert.equal((await jobs(mock))[0].state, 'pending-held');
  await page.goto(`${mock.url}/scanners/${job.scanner}#at=presence-of-the-mock-scanner`);
  await page.locator('[data-action=start-held]').click();
  await scanned({ page });
  assert.ok(!page.url().includes('at='));
});

check('who stands at the scanner scans at once', async ({ page, mock, tell }) => {
  await tell({ hold: true, role: 'user' });
  await page.reload();
  await chooseScanner(page, 'Virtual scanner');
  const address = page.url();
  await page.goto(`${address}#at=presence-of-the-mock-scanner`);
  await page.locator('.banner.ok').waitFor();
  assert.equal(page.url(), address);
  await page.locator('[data-preset=document]:enabled').click();
  await scanned({ page });
  assert.equal((await jobs(mock))[0].state, 'completed');
});

check('a kiosk starts a held scan by its code', async ({ page, mock, tell }) => {
  await tell({ hold: true, role: 'kiosk' });
  await page.reload();
  await chooseScanner(page, 'Virtual scanner');
  const scanner = page.url().split('/').at(-1);
  await fetch(`${mock.url}/api/v1/scanners/${scanner}/jobs`, { method: 'POST', headers: { 'Idempotency-Key': 'prepared-at-the-desk' }, body: JSON.stringify({ settings: { source: 'adf', resolution: 300 } }) });
  await page.locator('[data-action=have-code]').click();
  for (const digit of '482910') await page.locator('.pad').getByRole('button', { name: digit, exact: true }).click();
  await page.locator('[data-action=start-code]').click();
  await page.locator('dialog[open] [role=alert]').waitFor();
  for (const digit of '482913') await page.locator('.pad').getByRole('button', { name: digit, exact: true }).click();
  await page.locator('[data-action=start-code]').click();
  await page.locator('dialog[open]').waitFor({ state: 'detached' });
  await eventually(async () => (await jobs(mock))[0].state, 'completed');
});

check('another language, also where its texts come later', async ({ page, mock, tell }) => {
  await tell({ people: 'many' });
  await page.goto(`${mock.url}/people`);
  await page.locator('[data-action=add-person]', { hasText: 'Add a person' }).waitFor();
  await page.locator('[aria-haspopup=dialog]').first().click();
  await page.locator('dialog[open] select').selectOption('de');
  await page.locator('html[lang=de]').waitFor();
  await page.locator('[data-action=add-person]', { hasText: 'Person hinzufügen' }).waitFor();
});

check('a held scan can be canceled', async ({ page, mock, tell }) => {
  await tell({ hold: true });
  await chooseScanner(page, 'Virtual scanner');
  await page.locator('[data-preset=document]:enabled').click();
  await page.locator('[data-held]').waitFor();
  await page.locator('[data-action=cancel]').click();
  await page.locator('[data-preset]').first().waitFor();
  assert.equal((await jobs(mock))[0].state, 'canceled');
});

ways(check);

let failed = 0;
const chosen = checks.filter((c) => !given.only || c.name.includes(given.only));
for (const { name, run, service } of chosen) {
  const mock = await startMock({ pace: 300, ...service });
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
