/**
 * A phone in a browser: opens Platen, pairs, scans and saves, by tapping what a user taps. The
 * scripts beside this file use it; each prints what it sees, and one JSON object at its end.
 */
import { mkdirSync, readFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startChromium } from './chromium.mjs';

export const patience = 60_000;

/** Reads the command line; every script takes the same options. */
export function options() {
  const text = (short) => ({ type: 'string', ...(short ? { short } : {}) });
  return parseArgs({
    options: {
      url: text(), scanner: text(), preset: text(), source: text(), resolution: text(), mode: text(), format: text(), options: text(),
      out: text(), shots: text(), profile: text(), 'when-stopped': text(), code: text(), width: text(), height: text(), locale: text(),
      follow: { type: 'boolean' }, dark: { type: 'boolean' }, desktop: { type: 'boolean' },
    },
  }).values;
}

export function print(line) {
  process.stdout.write(`${line}\n`);
}

/** Starts a browser of the size of a phone. `profile` is a folder that keeps what the browser knows: cookies and storage. */
export async function launch({ profile, width = 390, height = 844, locale = 'en-GB', dark = false, desktop = false } = {}) {
  const browser = await startChromium();
  const kept = profile && join(profile, 'state.json');
  const context = await browser.newContext({
    viewport: { width: Number(width), height: Number(height) },
    deviceScaleFactor: desktop ? 1 : 2,
    isMobile: !desktop,
    hasTouch: !desktop,
    locale,
    colorScheme: dark ? 'dark' : 'light',
    acceptDownloads: true,
    ...(kept && existsSync(kept) ? { storageState: JSON.parse(readFileSync(kept, 'utf8')) } : {}),
  });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && /Content Security Policy/.test(message.text())) faults.push(message.text());
  });
  return {
    browser,
    context,
    page,
    faults,
    /** Writes down what the browser knows, so that another one can go on. */
    keep: async () => {
      if (!kept) return;
      mkdirSync(profile, { recursive: true });
      writeFileSync(kept, JSON.stringify(await context.storageState()));
    },
    close: () => browser.close(),
  };
}

/** Opens an address. Where the certificate is not trusted, the warning is clicked through, as a user would. */
export async function open(page, url) {
  try {
    await page.goto(url, { waitUntil: 'load' });
  } catch (error) {
    if (!/ERR_CERT/.test(String(error))) throw error;
    print('certificate warning');
    await page.waitForTimeout(500); // the warning takes no keys before it is drawn
    await Promise.all([page.waitForNavigation(), page.keyboard.type('thisisunsafe')]);
  }
  await page.locator('.screen, .splash').first().waitFor();
}

/** Signs in, if the page asks for it: by the link's secret or a typed code. Answers whether it did. */
export async function pair(page, code) {
  const redeem = page.locator('[data-action=redeem]');
  const field = page.locator('input[name=code]');
  const inside = page.locator('.screen:not(.pair-screen)');
  await redeem.or(field).or(inside).first().waitFor();
  if (await redeem.isVisible()) await redeem.click();
  else if (await field.isVisible()) {
    await field.fill(code ?? '');
    await page.locator('.pair-form button[type=submit]').click();
  } else return false;
  await inside.first().waitFor();
  return true;
}

/** Goes to a scanner: by name, or the only or first one. */
export async function chooseScanner(page, name) {
  const row = page.locator(name ? `[data-scanner="${name}"]` : '[data-scanner]').first();
  const preset = page.locator('[data-preset]:enabled').first();
  await row.or(preset).first().waitFor();
  if (await preset.isVisible()) {
    if (!name || (await page.locator('.scanner-hero .title').textContent()) === name) return;
    await page.locator('.topbar .icon-button').first().click();
  }
  await Promise.any([row.click(), preset.waitFor()]); // the app leaves a list of one by itself
  await preset.waitFor();
}

/**
 * Starts a scan: `preset` is one tap; else the settings sheet is filled in from source (platen,
 * adf, adf-duplex), mode, resolution, format and the device's own options.
 */
export async function scan(page, { preset, source, mode, resolution, format, options = {} }) {
  if (preset) {
    await page.locator(`[data-preset="${preset}"]:enabled`).click();
  } else {
    await page.locator('[data-action=all-settings]:enabled').click();
    const choose = async (setting, value) => {
      const group = page.locator(`[data-setting="${setting}"]`);
      if (await group.count()) await group.locator(`label[data-value="${value}"]`).click();
    };
    await page.locator('[data-action=scan]').waitFor();
    if (source) {
      await choose('source', source === 'platen' ? 'platen' : 'feeder');
      if (source !== 'platen') await choose('sides', source === 'adf-duplex' ? 'both' : 'one');
    }
    if (mode) await choose('mode', mode);
    const more = page.locator('details.more summary');
    if (resolution || format || Object.keys(options).length) await more.click();
    if (resolution) await setField(page.locator('[data-setting="resolution"]'), String(resolution));
    if (format) await choose('format', format);
    for (const [name, value] of Object.entries(options)) {
      const field = page.locator(`[data-option="${name}"]`);
      const box = field.locator('input[type=checkbox]');
      if (await box.count()) await box.setChecked(value === 'yes');
      else await setField(field, String(value));
    }
    await page.locator('[data-action=scan]').click();
  }
  await page.waitForURL(/\/(jobs|documents)\//);
  return page.url().match(/\/jobs\/([^/?#]+)/)?.[1];
}

async function setField(field, value) {
  if ((await field.evaluate((e) => e.tagName)) === 'SELECT') await field.selectOption(value);
  else {
    await field.fill(value);
    await field.blur();
  }
}

/**
 * Tells what the screen shows while a scan runs, as it changes: `tell(kind, value)` with kinds
 * at (path), growing and committed (page number), grew (page number: its image has rows while it
 * is still being scanned), says (words of a bar, sheet, banner or toast), shown (pages in the grid).
 */
export async function watch(page, tell) {
  await page.exposeFunction('platenTell', tell);
  await page.addInitScript(() => {
    const said = new Set();
    const once = (kind, value) => {
      const key = `${kind} ${value}`;
      if (said.has(key)) return;
      said.add(key);
      window.platenTell(kind, value);
    };
    let words = '';
    const look = () => {
      once('at', location.pathname);
      // In the order in which it happens: a page is whole before the next one grows.
      for (const tile of document.querySelectorAll('.strip li[data-n]')) once('committed', Number(tile.dataset.n));
      const paper = document.querySelector('.live-stage .paper[data-page]');
      if (paper) {
        const { page: n, state } = paper.dataset;
        if (state === 'growing') {
          once('growing', Number(n));
          const image = paper.querySelector('img');
          if (image && image.naturalHeight > 0 && !image.complete) once('grew', Number(n));
        }
      }
      const grid = document.querySelector('[data-pages]');
      if (grid) {
        for (let n = 1; n <= Number(grid.dataset.pages); n++) once('committed', n);
        once('shown', Number(grid.dataset.pages));
      }
      const now = [...document.querySelectorAll('.connection, dialog[open] .sheet-head h2, .banner strong, .toast > span, .empty .title')].map((e) => e.textContent.trim()).join(' | ');
      if (now && now !== words) window.platenTell('says', now);
      words = now;
      requestAnimationFrame(look);
    };
    const start = () => requestAnimationFrame(look);
    if (document.readyState === 'loading') addEventListener('DOMContentLoaded', start);
    else start();
  });
}

/** What a stopped scan is answered, as often as it stops. */
export function answerStops(page, how) {
  return page.addLocatorHandler(page.locator('.stop-body'), async () => {
    await page.locator(how === 'finish' ? '[data-action=finish]' : '[data-action=resume]').click();
  }, { noWaitAfter: true });
}

/** Fetches every page of a job in the browser, and what it is there. */
export function receive(page, job) {
  return page.evaluate(async (id) => {
    const hex = (buffer) => Array.from(new Uint8Array(buffer), (b) => b.toString(16).padStart(2, '0')).join('');
    const state = await (await fetch(`/api/v1/jobs/${id}`)).json();
    const { items } = await (await fetch(`/api/v1/jobs/${id}/pages?limit=200`)).json();
    const pages = [];
    for (const { n } of items) {
      const bytes = await (await fetch(`/api/v1/jobs/${id}/pages/${n}`)).arrayBuffer();
      pages.push({ n, digest: crypto.subtle ? hex(await crypto.subtle.digest('SHA-256', bytes)) : '', bytes: bytes.byteLength });
    }
    return { job: id, state: state.state, reasons: state.reasons ?? [], pages, secure: isSecureContext };
  }, job);
}

/** Done, Save: the document as one file, through the browser's own download. */
export async function savePDF(page, file) {
  await page.locator('[data-action=done]:enabled').click();
  await page.locator('[data-ready=true]').waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('[data-action=save]').click()]);
  await download.saveAs(file);
  return download.suggestedFilename();
}

/** Takes screenshots into a folder, if one is named. */
export function camera(page, folder) {
  if (folder) mkdirSync(folder, { recursive: true });
  let n = 0;
  return async (name) => {
    if (folder) await page.screenshot({ path: join(folder, `${String(++n).padStart(2, '0')}-${name}.png`) });
  };
}

/** Ends a script: its result as the last line, and its exit status. */
export async function main(body) {
  try {
    const result = await body();
    print(JSON.stringify(result));
  } catch (error) {
    process.stderr.write(`${error?.stack ?? error}\n`);
    process.exit(1); // takes the browser along
  }
}
