// The screens of a gateway's pages: which way they come, and who can open them.
import { stubRoads, tellRoad } from './roads-stub.mjs';

export async function walkWays({ page, context, mock, screen, tell, desktop }) {
  const go = (path) => page.goto(mock.url + path);
  const tap = (selector) => page.locator(selector).first().click();
  const see = (selector) => page.locator(selector).first().waitFor();
  const scanner = async () => {
    await go('/scanners');
    await tap('[data-scanner="Virtual scanner"]');
    await see('[data-preset]:enabled');
  };
  await stubRoads(page);
  await tell({ encryption: 'preferred' });
  await scanner();
  await see('[data-road]');
  await screen('way-gateway');
  await tellRoad(page, { road: 'webtransport', direct: 'open' });
  await see('[data-road=webtransport]');
  await screen('way-direct');
  await tellRoad(page, { road: 'relay', direct: 'permission-needed' });
  await see('[data-action=connect-directly]');
  await screen('way-permission');
  await tap('[data-action=connect-directly]');
  await see('dialog[open]');
  await screen('way-ask');
  await page.keyboard.press('Escape');
  await tellRoad(page, { road: 'relay', direct: 'permission-denied' });
  await see('[data-direct=permission-denied] .caption');
  await screen('way-denied');
  await tellRoad(page, { road: 'relay', direct: 'unverified' });
  await see('[data-direct=unverified]');
  await screen('way-unverified');
  // Sealed for this browser.
  await tellRoad(page, { road: 'webrtc', direct: 'open' });
  await tell({ stop: { page: 3, reason: 'jam' } });
  await tap('[data-preset=both-sides]');
  await see('.stop-body .last-good img');
  await screen('sealed-stopped');
  await page.keyboard.press('Escape');
  await see('.painted img');
  await see('.live-way [data-seal=own]');
  await screen('sealed-live');
  await tap('.banner.warn .button');
  await tap('[data-action=resume]');
  await page.waitForURL(/\/documents\//, { timeout: 60_000 });
  await see('.tile img');
  await screen('sealed-grid');
  const own = new URL(page.url()).pathname;
  await tell({ tamper: true });
  await page.reload();
  await see('.tile [data-seal=changed]');
  await screen('changed-grid');
  if (!desktop) {
    await tap('.tile:nth-child(2) > button');
    await see('.page-stage [data-seal=changed]');
    await screen('changed-page');
  }
  await tell({ tamper: false });
  // Sealed for another one.
  await tell({ stranger: true });
  await scanner();
  await tap('[data-preset=both-sides]');
  await see('.live-stage [data-seal=other]');
  await screen('other-live');
  await page.waitForURL(/\/documents\//, { timeout: 60_000 });
  await see('.tile [data-seal=other]');
  await screen('other-grid');
  if (!desktop) {
    await tap('.tile:nth-child(2) > button');
    await see('.page-stage [data-seal=other]');
    await screen('other-page');
    await tap('.tool:nth-child(2)');
    await see('dialog[open] [data-seal=other]');
    await screen('other-picture');
    await page.keyboard.press('Escape');
    await tap('.topbar .icon-button');
  }
  await tap('[data-action=done]:enabled');
  await see('dialog[open] [data-seal=other]');
  await screen('other-finish');
  await go('/documents');
  await see(`[data-document="${own.split('/')[2]}"] .text [data-seal=own]`);
  await screen('sealed-documents');
  // Where browsers encrypt nothing.
  await tell({ stranger: false, encryption: 'required' });
  const plain = await context.newPage();
  await plain.addInitScript(() => Object.defineProperty(window, 'isSecureContext', { value: false }));
  await plain.goto(page.url().replace(/\/documents.*/, '/scanners'));
  await plain.locator('[data-scanner="Virtual scanner"]').first().click();
  await plain.locator('.scanner-screen .banner.warn').first().waitFor();
  await screen('needs-https', plain);
  await plain.close();
  await tell({ encryption: null });
  await page.unrouteAll();
}
