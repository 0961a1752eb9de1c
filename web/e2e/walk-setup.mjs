/** The part of the walk that is the setup page of a node, and what differs on a gateway's; see walk.mjs. */
export async function walkSetup({ page, screen, startMock, desktop }) {
  const mock = await startMock();
  const tell = (state) => fetch(`${mock.url}/mock`, { method: 'POST', body: JSON.stringify(state) });
  const tap = (selector) => page.locator(selector).first().click();
  const see = (selector) => page.locator(selector).first().waitFor();
  const at = desktop ? '#setup-panel' : '.setup-fold[open]';
  const show = async (name) => {
    if (desktop) return tap(`[data-section=${name}]`);
    for (const open of await page.locator('.setup-fold[open] > summary').all()) await open.click();
    await tap(`[data-section=${name}] > summary`);
  };
  const plan = async () => {
    await tap('[data-action=plan]');
    await see('dialog[open] .sheet-body > *');
  };

  await page.goto(`${mock.url}/setup`);
  await see('.setup-screen');
  await screen('setup');
  for (const name of ['local', 'external', 'nearby', 'gateway', 'licence', 'people', 'audit', 'changes', 'other']) {
    await show(name);
    await see(`${at} > *`);
    if (name === 'audit') await see('[data-result=refused]');
    await page.evaluate((panel) => document.querySelectorAll(`${panel} details.more`).forEach((more) => (more.open = true)), at);
    await screen(`setup-${name}`);
  }
  await show('local');
  await tap('[data-certificate=local] [data-action=upload]');
  await see('dialog[open] input[type=file]');
  await screen('setup-upload');
  await page.keyboard.press('Escape');
  await page.fill(`${at} [name="[node] HTTPPort"]`, 'x');
  await plan();
  await screen('setup-plan-refused');
  await page.keyboard.press('Escape');
  await tap('[data-option="[node] TrustLoopback"]');
  await page.fill(`${at} [name="[node] HTTPPort"]`, '18622');
  await plan();
  await screen('setup-plan-trial');
  await tap('[data-action=apply]');
  await see('[data-state=on-trial]');
  await screen('setup-trial');
  await tap('[data-action=keep]');
  await page.locator('[data-state=on-trial]').waitFor({ state: 'detached' });
  await show('external');
  await tap('[data-option="[node] External"]');
  await page.fill(`${at} [name="[node] Names"]`, 'scan.contoso.example');
  await plan();
  await screen('setup-plan-opens');
  await page.keyboard.press('Escape');
  await tap('.actionbar .button:first-child');
  await show('other');
  await page.fill(`${at} [name="[node] Name"]`, 'Front desk');
  await plan();
  await tap('[data-action=apply]');
  await see('.banner.warn'); // a restart is due
  await show('changes');
  await screen('setup-changed');
  // Computers and gateways nearby.
  await tell({ setup: 'near' });
  await show('gateway');
  await see('[data-found]');
  await screen('setup-gateways');
  await show('nearby');
  await tap('[data-option="[escl] Enable"]');
  await plan();
  await screen('setup-plan-escl');
  await tap('[data-action=apply]');
  await see('[data-shared]');
  await screen('setup-shared');
  await tell({ setup: 'waiting' });
  await show('gateway');
  await see('.check');
  await screen('setup-waiting');
  await tell({ setup: 'troubled' });
  await page.reload();
  await see('.banner.bad');
  await screen('setup-troubled');
  await tell({ setup: 'off' });
  await page.reload();
  await see('.empty');
  await screen('setup-off');
  await mock.close();
  const gateway = await startMock({ gateway: true });
  await page.goto(`${gateway.url}/setup`);
  await see('.setup-screen');
  await show('nearby');
  await see('[data-group=bonjour]');
  await screen('setup-gateway-nearby');
  await gateway.close();
}
