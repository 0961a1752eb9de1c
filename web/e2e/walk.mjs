/**
 * Walks through every screen of the app against the stand-in service, in several sizes, both
 * colour schemes and both languages: axe must find nothing, nothing may be cut off or too small to
 * hit, and no script may fail. Screenshots go to --shots DIR.
 *
 *     npm run test:browser --prefix web [-- --shots DIR] [-- --only NAME]
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startChromium } from './chromium.mjs';
import { loadMock } from './mock.mjs';
import { walkLicences } from './walk-licences.mjs';
import { walkSetup } from './walk-setup.mjs';
import { walkWays } from './walk-ways.mjs';

const { values: given } = parseArgs({ options: { shots: { type: 'string' }, only: { type: 'string' } } });
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const looks = [
  { name: 'phone', width: 390, height: 844, locale: 'en-GB' },
  { name: 'phone-dark-de', width: 390, height: 844, locale: 'de-DE', dark: true },
  { name: 'small', width: 320, height: 568, locale: 'de-DE' },
  { name: 'desktop', width: 1024, height: 768, locale: 'en-GB', desktop: true },
  { name: 'desktop-dark', width: 1280, height: 800, locale: 'de-DE', desktop: true, dark: true },
];

const { startMock, end } = await loadMock();
const browser = await startChromium();
const faults = [];
let looked = 0;

for (const look of looks) {
  if (given.only && look.name !== given.only) continue;
  const mock = await startMock({ gateway: true, pair: true, pace: 300 });
  const context = await browser.newContext({
    viewport: { width: look.width, height: look.height }, deviceScaleFactor: look.desktop ? 1 : 2, isMobile: !look.desktop, hasTouch: !look.desktop,
    locale: look.locale, colorScheme: look.dark ? 'dark' : 'light', reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => faults.push(`${look.name}: ${error}`));
  page.on('console', (message) => {
    if (/Content Security Policy/.test(message.text())) faults.push(`${look.name}: ${message.text()}`);
  });
  const tell = (state) => fetch(`${mock.url}/mock`, { method: 'POST', body: JSON.stringify(state) });
  const go = (path) => page.goto(mock.url + path);
  const tap = (selector) => page.locator(selector).first().click();
  const see = (selector) => page.locator(selector).first().waitFor();

  /** Looks at the screen as it stands. */
  const screen = async (name, at = page) => {
    looked++;
    await at.evaluate(() => scrollTo(0, 0));
    await at.waitForTimeout(250); // fonts and pictures settle
    if (given.shots) {
      mkdirSync(given.shots, { recursive: true });
      await at.screenshot({ path: join(given.shots, `${look.name}-${name}.png`) });
    }
    await at.evaluate(axe);
    const found = await at.evaluate(inspect);
    for (const fault of found) faults.push(`${look.name}, ${name}: ${fault}`);
  };

  try {
    // Sign-in.
    await go('/#pair=secret-of-the-mock-service&ca=4fX2b');
    await see('[data-action=redeem]');
    await screen('pair-link');
    await go('/pair');
    await page.reload();
    await see('input[name=code]');
    await page.locator('input[name=code]').pressSequentially('aaaa bbbb');
    await tap('.pair-form button[type=submit]');
    await see('.banner.bad');
    await screen('pair-wrong');
    await go('/sign-in/done?error=access_denied');
    await see('.empty');
    await screen('sign-in-refused');
    await go('/#pair=secret-of-the-mock-service');
    await page.reload();
    await tap('[data-action=redeem]');
    // Scanners.
    await see('[data-scanner]');
    await screen('scanners');
    await tell({ scanners: 'none' });
    await page.reload();
    await see('.empty');
    await screen('scanners-none');
    await tell({ scanners: 'three' });
    await go('/scanners');
    await tap('[data-scanner="Virtual scanner"]');
    await see('[data-preset]:enabled');
    await screen('scanner');
    await tap('.topbar .icon-button:last-child');
    await see('dialog[open]');
    await screen('menu');
    await page.keyboard.press('Escape');
    await tap('[data-action=all-settings]');
    await see('dialog[open] [data-setting]');
    await screen('settings');
    await tap('details.more summary');
    await page.evaluate(() => document.querySelector('.sheet-body').scrollTo(0, 5000));
    await screen('settings-more');
    await page.keyboard.press('Escape');
    // A scan that stops, goes on, and grows.
    await tell({ stop: { page: 3, reason: 'jam' } });
    await tap('[data-preset=both-sides]');
    await see('[data-state=growing] img');
    await screen('live');
    await see('.stop-body');
    await screen('stopped-jam');
    await page.keyboard.press('Escape');
    await see('.banner.warn');
    await screen('stopped-hidden');
    await tap('.banner.warn .button');
    await tap('[data-action=resume]');
    await page.waitForURL(/\/documents\//, { timeout: 60_000 });
    await see('.tile img');
    await screen('grid');
    const address = new URL(page.url()).pathname;
    // Selection, removal, one page.
    await tap('.doc-meta .button');
    await tap('.tile:nth-child(2) > button');
    await tap('.tile:nth-child(5) > button');
    await screen('selected');
    await tap('.tool:nth-child(2)');
    await see('dialog[open] .gap-buttons');
    await screen('move');
    await page.keyboard.press('Escape');
    await tap('.tool:nth-child(1)');
    await tap('.tool.danger');
    await see('.toast');
    await screen('removed');
    if (!look.desktop) {
      await tap('.tile:nth-child(3) > button');
      await see('.page-stage img');
      await screen('page');
      await tap('.topbar .icon-button');
    }
    await see('[data-action=done]');
    await tap('[data-action=add]');
    await see('dialog[open] .row');
    await screen('add');
    await page.keyboard.press('Escape');
    await tap('[data-action=done]');
    await see('[data-ready=true]');
    await screen('finish');
    await tap('[data-action=save]');
    await see('.banner.ok');
    await screen('saved');
    await go('/documents');
    await see('[data-document]');
    await screen('documents');
    await go(`${address}#delete`);
    await see('.button.danger');
    await screen('delete');
    await walkWays({ page, context, mock, screen, tell, desktop: look.desktop });
    // Administration.
    await go('/admin');
    await see('.row');
    await screen('admin');
    await go('/connect');
    await see('.qr');
    await screen('connect');
    await go('/nodes');
    await see('[data-action=approve]:enabled');
    await screen('nodes');
    await tap('[data-action=add-node]');
    await see('.command');
    await screen('node-add');
    await tap('[data-node=Reception]');
    await see('dialog[open]');
    await screen('node');
    await tap('[data-action=revoke]');
    await see('[data-action=confirm]');
    await screen('node-revoke');
    await go('/nodes');
    await tap('[data-node=Laboratory]');
    await see('[data-action=reinstate]');
    await screen('node-quarantined');
    await page.keyboard.press('Escape');
    await tap('[data-node=Warehouse]');
    await see('[data-action=allow-present]:enabled');
    await screen('node-presents');
    await page.keyboard.press('Escape');
    await tell({ asks: 'Archive' });
    await see('[data-waiting=Archive] [data-action=approve]:enabled');
    await screen('nodes-namesake');
    await tap('[data-waiting=Archive] [data-action=not-mine]');
    await see('[data-action=confirm]');
    await screen('node-refuse');
    await tell({ people: 'many' });
    await go('/people');
    await see('[data-person]');
    await screen('people');
    await tap('[data-person="Jonas Keller"]');
    await see('dialog[open]');
    await screen('person');
    await tap('[data-action=person-code]');
    await see('dialog[open] .qr');
    await screen('person-code');
    await go('/people');
    await tap('[data-person="Aylin Demir"]');
    await see('dialog[open]');
    await screen('person-office');
    await page.keyboard.press('Escape');
    await tap('[data-action=add-person]');
    await see('dialog[open]');
    await screen('person-add');
    await tell({ people: 'few' });
    await go('/permissions');
    await see('.empty');
    await screen('permissions-none');
    await tap('[data-action=add-permission]');
    await see('dialog[open] select');
    await screen('permission-add');
    await tap('[data-action=save]');
    await see('[data-permission]');
    await screen('permissions');
    await go('/tokens');
    await see('[data-token]');
    await screen('tokens');
    await tap('[data-action=make-token]');
    await page.fill('dialog[open] input', 'Backup');
    await screen('token-make');
    await tap('[data-action=save]');
    await see('.command');
    await screen('token-made');
    await tell({ anyOrigin: true });
    await go('/origins');
    await see('[data-origin]');
    await screen('origins');
    await tap('[data-action=allow-origin]');
    await page.fill('dialog[open] input', 'http://shop.example/page');
    await screen('origin-malformed');
    await page.fill('dialog[open] input', 'http://shop.example');
    await screen('origin-plain');
    await go('/allow#origin=https%3A%2F%2Freturns.shop.example');
    await see('[data-action=allow]:enabled');
    await screen('allow');
    await tap('[data-action=allow]');
    await see('[role=status] .empty');
    await screen('allowed');
    await go('/allow#origin=javascript:alert(1)');
    await page.reload();
    await see('.empty');
    await screen('allow-malformed');
    await go('/device');
    await page.locator('input[name=user-code]').fill('prgm4440');
    await screen('device');
    await page.locator('input[name=user-code]').fill('prgm4444');
    await tap('button[type=submit]');
    await see('[data-action=refuse]');
    await screen('device-asks');
    await tap('[data-action=allow]');
    await see('.empty');
    await screen('device-allowed');
    await tell({ named: true });
    await go('/account');
    await see('[data-action=add-passkey]');
    await see('[data-session]');
    await screen('account');
    await walkSetup({ page, screen, startMock, desktop: look.desktop });
    await walkLicences({ page, screen, startMock, desktop: look.desktop });
    // Scans that wait for their owner.
    await tell({ hold: true });
    await go('/scanners');
    await tap('[data-scanner="Virtual scanner"]');
    await see('[data-preset]:enabled');
    await tap('.topbar .icon-button:last-child');
    await tap('dialog[open] .row');
    await see('dialog[open] [data-option=hold]');
    await screen('manage');
    await tap('[data-action=sticker]');
    await see('.sticker .qr');
    await screen('sticker');
    await page.locator('.topbar .icon-button').first().click();
    await tap('[data-preset=document]:enabled');
    await see('[data-held]');
    await screen('held');
    await page.locator('.topbar .icon-button').first().click();
    await see('[data-preset]');
    await page.goto(`${page.url()}#at=presence-of-the-mock-scanner`);
    await see('[data-action=start-held]');
    await screen('held-here');
    await tell({ role: 'kiosk' });
    await page.goto(page.url());
    await page.reload();
    await tap('[data-action=have-code]');
    await see('.pad');
    for (let i = 0; i < 6; i++) await tap('.pad .key');
    await tap('[data-action=start-code]');
    await see('dialog[open] .banner');
    await screen('pad-wrong');
    await tell({ role: 'admin', hold: false });
    // What can be wrong.
    await go('/documents/aaaaaaaaaaaaaaaa-daaaaaaaaaaaaaaaaaaaa');
    await see('.empty');
    await screen('document-gone');
    await go('/nowhere');
    await see('.empty');
    await screen('unknown');
    await tell({ scanners: 'offline' });
    await go('/scanners');
    await tap('[data-scanner]');
    await see('.banner.warn');
    await screen('scanner-offline');
    await tell({ scanners: 'three' });
    await go('/scanners');
    await see('[data-scanner]');
    await tell({ problem: { code: 'node-offline', status: 503 } });
    await tap('[data-scanner]');
    await see('[role=alert]');
    await screen('node-offline');
    await tell({ problem: null });
    await go('/scanners');
    await see('[data-scanner]');
    await tell({ down: true });
    await see('.connection');
    await screen('connection-lost');
  } catch (error) {
    faults.push(`${look.name}: ${error.message.split('\n').slice(0, 4).join(' ')}`);
    if (given.shots) await page.screenshot({ path: join(given.shots, `${look.name}-FAILED.png`) });
  }
  await context.close();
  await mock.close();
}

await browser.close();
await end();
for (const fault of faults) console.error(fault);
console.log(`${looked} screens looked at`);
console.log(`${looked} passed, ${faults.length} failed`);
process.exit(faults.length ? 1 : 0);

/** Runs in the page: accessibility rules, hit sizes, cut texts, sideways scrolling. */
async function inspect() {
  const found = [];
  const { violations } = await window.axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } });
  for (const v of violations) found.push(`axe ${v.id}: ${v.nodes.map((n) => `${n.target.join(' ')} (${(n.any[0] ?? n.all[0] ?? n.none[0])?.message ?? ''})`).slice(0, 3).join('; ')}`);
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`scrolls sideways: ${root.scrollWidth} > ${root.clientWidth}`);
  const modal = document.querySelector('dialog[open]');
  for (const element of (modal ?? document).querySelectorAll('button, a[href], select, textarea, input:not([type=radio]):not([type=checkbox]), summary, .segmented label, .switch')) {
    const box = element.getBoundingClientRect();
    if (box.width === 0 || !element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    const name = `${element.tagName.toLowerCase()}.${element.className} "${element.textContent.trim().slice(0, 20)}"`;
    if (box.width < 44 || box.height < 44) found.push(`${name} is ${Math.round(box.width)} × ${Math.round(box.height)}`);
    if (element.scrollWidth > element.clientWidth + 1 && element.tagName === 'BUTTON') found.push(`${name} is cut: ${element.scrollWidth} > ${element.clientWidth}`);
    if (box.right > innerWidth + 1 && !element.closest('.strip')) found.push(`${name} leaves the screen`);
  }
  return found;
}
