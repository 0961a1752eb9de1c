/**
 * The web setup page, driven as an administrator does it: signs in with the link, looks at every
 * tab, changes the log level, undoes a change, lets a trial run out, lets other devices in and
 * shuts them out again. Prints a line for each step ("step NAME"), and one JSON object at its end.
 *
 * With --wait it reads a line after "step open" and "step crash", so that somebody can look at the
 * service from outside, or kill it. --shots DIR takes the pictures of the operator guide.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { launch, main, open, pair, print } from './phone.mjs';

const { url, shots, desktop, locale, wait, certificate, key, pictures } = parseArgs({
  options: {
    url: { type: 'string' }, shots: { type: 'string' }, desktop: { type: 'boolean' }, locale: { type: 'string', default: 'en-GB' }, wait: { type: 'boolean' },
    certificate: { type: 'string' }, key: { type: 'string' }, pictures: { type: 'boolean' },
  },
}).values;
if (shots) mkdirSync(shots, { recursive: true });
const { page, faults, close } = await launch({ ...(desktop ? { width: 1280, height: 800, desktop: true } : {}), locale });
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const saw = { role: '', tabs: {}, faults };
const panel = (section) => (desktop ? page.locator('#setup-panel') : page.locator(`[data-section="${section}"]`));
const picture = async (name) => {
  if (!shots) return;
  await page.mouse.move(1, 1);
  await page.locator('.toast').waitFor({ state: 'detached' });
  await page.waitForTimeout(300); // sheets rise
  await page.screenshot({ path: `${shots}/${name}${desktop ? '' : '-phone'}.png` });
};

/** Opens a section; on a phone the one before is closed. */
async function show(name) {
  await page.mouse.move(1, 1); // a toast stays while something points at it
  const section = page.locator(`[data-section="${name}"]`);
  if (desktop) return void (await section.click());
  for (const other of await page.locator('[data-section][open] > summary').all()) await other.click();
  await section.locator('> summary').click();
  await section.evaluate((e) => e.scrollIntoView());
}

/** What is wrong with the screen as it stands. */
async function inspect(name) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } });
    const root = document.documentElement;
    const wide = root.scrollWidth > root.clientWidth ? [`scrolls sideways: ${root.scrollWidth} > ${root.clientWidth}`] : [];
    return [...wide, ...violations.map((v) => `axe ${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join('; ')}`)];
  });
  faults.push(...found.map((f) => `${name}: ${f}`));
}

/** Edits a setting in a section and looks at the plan; answers its words. */
async function plan(section, group, edit) {
  await show(section);
  await edit(panel(section).locator(`[data-group=${group}]`));
  await page.locator('[data-action=plan]').click();
  await page.locator('[data-action=apply]').waitFor();
  return page.locator('dialog[open] .sheet-body').innerText();
}

const toggle = (name) => (at) => at.locator(`[data-option$="] ${name}"] input`).click();
const fill = (name, value) => (at) => at.locator(`input[name$="] ${name}"]`).fill(value);
const apply = () => page.locator('[data-action=apply]').click();
const keep = () => page.locator('[data-action=keep]').click();
const onTrial = () => page.locator('[data-state=on-trial]').waitFor();
const over = (timeout) => page.locator('[data-state=on-trial], [data-state=lost]').waitFor({ state: 'detached', timeout });

/** Undoes the newest change that is kept. */
async function undo() {
  await show('changes');
  await page.locator('[data-change=kept] [data-action=undo]').first().click();
}

/** Says where the script is, and with --wait waits until somebody has looked. */
async function step(name, stop = false) {
  print(`step ${name}`);
  if (stop && wait) await lines.next();
}

async function tabs() {
  for (const name of await page.locator('[data-section]').evaluateAll((all) => all.map((e) => e.dataset.section))) {
    await show(name);
    await page.waitForLoadState('networkidle');
    await picture(name);
    await panel(name).evaluate((e) => e.querySelectorAll('details').forEach((more) => (more.open = true)));
    saw.tabs[name] = await panel(name).innerText();
    await inspect(name);
  }
}

async function nodeSteps() {
  // Undone: a change that cuts nobody off.
  saw.renamed = await plan('other', 'service', fill('Location', 'Second floor'));
  await apply();
  await undo();
  await page.locator('[data-change=undone]').first().waitFor();
  await step('undone');

  // Kept by nobody: it goes back by itself.
  saw.trialPlan = await plan('local', 'here', toggle('TrustLoopback'));
  await picture('plan-trial');
  await inspect('plan');
  await apply();
  await onTrial();
  await page.evaluate(() => scrollTo(0, 0));
  saw.trial = await page.locator('[data-state=on-trial]').innerText();
  await picture('trial');
  await inspect('trial');
  await step('trial');
  await over(45_000);
  await show('local');
  saw.reverted = await panel('local').locator('[data-option$="] TrustLoopback"] input').isChecked();
  await step('reverted');

  // Confirmed: other devices are let in, and shut out again.
  saw.openPlan = await plan('external', 'host', toggle('External'));
  await picture('plan');
  await apply();
  await page.locator('.toast').waitFor();
  await page.locator('.setup-screen .banner.bad').first().waitFor(); // nobody has an account yet
  await inspect('open');
  await show('external');
  if (desktop) await page.evaluate(() => scrollTo(0, 0));
  await picture('external-on');
  saw.warnings = await page.locator('.setup-screen .banner.bad strong').allInnerTexts();
  await step('open', true);
  await undo();
  await onTrial();
  await keep();
  await over();
  await step('closed', true);

  // The service is killed in mid-trial, and started again.
  await plan('local', 'here', fill('HTTPPort', '18777'));
  await apply();
  await onTrial();
  await step('crash', true);
  await over(60_000);
  await show('local');
  await page.waitForFunction(() => document.querySelector('input[name="[node] HTTPPort"]')?.value !== '18777');
  saw.httpPort = await panel('local').locator('input[name="[node] HTTPPort"]').inputValue();
  await show('changes');
  saw.changes = await page.locator('[data-change]').evaluateAll((all) => all.map((e) => e.dataset.change));
}

async function gatewaySteps() {
  // The page moves: it is kept at its new address.
  saw.movePlan = await plan('other', 'page', fill('SetupHTTPPort', '18615'));
  await picture('plan');
  await apply();
  const link = page.locator('.setup-addresses a[href^="http://localhost"]').first();
  await link.waitFor();
  saw.lost = await page.locator('[data-state=lost], [data-state=on-trial]').innerText();
  await picture('moved');
  await page.goto(await link.getAttribute('href'));
  await pair(page);
  await page.locator('.setup-screen').waitFor();
  await onTrial();
  await keep();
  await over();
  saw.at = page.url();
  await step('moved', true);
}

async function uploads() {
  const at = page.locator('[data-certificate=local]');
  await show('local');
  await at.locator('[data-action=upload]').click();
  await page.locator('input[name=certificate]').setInputFiles(certificate);
  await page.locator('input[name=key]').setInputFiles(key);
  await page.locator('[data-action=put]').click();
  await at.locator('[data-action=remove]').waitFor();
  saw.certificate = await at.innerText();
  await step('certificate', true);
}

await main(async () => {
  await open(page, url);
  await pair(page);
  await page.locator('.setup-screen').waitFor();
  saw.role = (await page.locator('[data-section=gateway]').count()) ? 'node' : 'gateway';
  await picture('overview');
  await inspect('overview');
  await tabs();
  if (!pictures) {
    await page.evaluate(() => scrollTo(0, 0));
    await page.locator('[data-setting=log] label[data-value=debug]').click();
    await page.locator('[data-action=keep-level]').waitFor();
    await step('debug', true);
    if (certificate) await uploads();
    await (saw.role === 'node' ? nodeSteps() : gatewaySteps());
  }
  return saw;
});
await close();
process.stdin.destroy(); // or it is waited for
