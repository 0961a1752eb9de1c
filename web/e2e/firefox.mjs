/**
 * Starts Debian's Firefox and drives it by Marionette, the protocol that Firefox has built in: JSON over TCP. Playwright drives
 * only a Firefox of its own. What is here is what the scripts need: open pages, run code in them, take pictures.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const patience = 60_000;

/** A browser that asks nobody anything, and does nothing by itself. */
const quiet = {
  'marionette.port': 0, // any: it is written into the profile
  'app.normandy.enabled': false,
  'app.update.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.page': 0,
  'browser.aboutwelcome.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'datareporting.usage.uploadEnabled': false,
  'extensions.getAddons.cache.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.prefetch-next': false,
  'services.settings.server': '',
  'toolkit.telemetry.enabled': false,
  'termsofuse.bypassNotification': true,
};

/**
 * Starts Firefox with a fresh profile. `ca` is a PEM file of an authority to trust; with `insecure` every certificate is
 * taken. `prefs` are settings of about:config.
 * @param {{ca?: string, insecure?: boolean, prefs?: Record<string, string|number|boolean>, width?: number, height?: number}} [options]
 */
export async function startFirefox({ ca, insecure = false, prefs = {}, width = 412, height = 839 } = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'platen-firefox-'));
  const lines = Object.entries({ ...quiet, ...prefs }).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`);
  writeFileSync(join(profile, 'user.js'), lines.join(''));
  if (ca) {
    const certutil = (...args) => execFileSync('certutil', ['-d', `sql:${profile}`, ...args]);
    certutil('-N', '--empty-password');
    certutil('-A', '-t', 'C,,', '-n', ca, '-i', ca);
  }
  const browser = spawn(process.env.FIREFOX || '/usr/bin/firefox-esr', ['--headless', '--no-remote', '--marionette', '--profile', profile, '--width', String(width), '--height', String(height), 'about:blank'], {
    env: { ...process.env, HOME: profile, MOZ_HEADLESS: '1' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = new Promise((resolve) => browser.once('exit', resolve));
  const kill = () => browser.kill('SIGKILL');
  process.once('exit', kill);
  let ask;
  const close = async () => {
    await Promise.race([ended, ask?.('Marionette:Quit', { flags: ['eForceQuit'] })]).catch(() => {});
    const late = setTimeout(kill, ask ? 5_000 : 0);
    await ended;
    clearTimeout(late);
    process.off('exit', kill);
    rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
  };
  try {
    ask = await marionette(await activePort(profile, browser));
    await ask('WebDriver:NewSession', { capabilities: { alwaysMatch: { acceptInsecureCerts: insecure } } });
    await ask('WebDriver:SetTimeouts', { script: patience, pageLoad: patience });
    return {
      /** Opens an address and waits until it is loaded. */
      goto: (url) => ask('WebDriver:Navigate', { url }),
      url: async () => (await ask('WebDriver:GetCurrentURL')).value,
      title: async () => (await ask('WebDriver:GetTitle')).value,
      /** Runs a function in the page, as its own scripts run; answers what it returns, or a promise of it. Arguments and answer are JSON. */
      evaluate: async (run, ...args) => {
        const script = `const [done] = [...arguments].slice(-1);
          (async (...given) => (${run})(...given))(...[...arguments].slice(0, -1)).then((value) => done({ value }), (error) => done({ error: String(error) }));`;
        const { value } = await ask('WebDriver:ExecuteAsyncScript', { script, args, sandbox: null });
        if ('error' in value) throw new Error(value.error);
        return value.value;
      },
      /** Clicks the first element of a selector, as a person would. */
      click: async (selector) => {
        const { value } = await ask('WebDriver:FindElement', { using: 'css selector', value: selector });
        await ask('WebDriver:ElementClick', { id: Object.values(value)[0] });
      },
      shot: async (file) => writeFileSync(file, (await ask('WebDriver:TakeScreenshot', { full: false })).value, 'base64'),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Waits for the port that Firefox has opened. */
async function activePort(profile, browser) {
  const deadline = Date.now() + patience;
  while (Date.now() < deadline) {
    if (browser.exitCode !== null) throw new Error(`Firefox ended with ${browser.exitCode}`);
    try {
      const port = Number(readFileSync(join(profile, 'MarionetteActivePort'), 'utf8'));
      if (port > 0) return port;
    } catch {} // not yet
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('Firefox did not open its port');
}

/** Connects, and answers a function that sends a command and waits for its answer. A message is its length, a colon and JSON. */
async function marionette(port) {
  const socket = connect(port, '127.0.0.1');
  const waiting = new Map();
  let greeted;
  const greeting = new Promise((resolve, reject) => {
    greeted = resolve;
    socket.once('error', reject);
  });
  let rest = Buffer.alloc(0);
  socket.on('data', (data) => {
    rest = Buffer.concat([rest, data]);
    for (let colon; (colon = rest.indexOf(':')) > 0; ) {
      const end = colon + 1 + Number(rest.subarray(0, colon));
      if (rest.length < end) return;
      const message = JSON.parse(rest.subarray(colon + 1, end));
      rest = rest.subarray(end);
      if (!Array.isArray(message)) greeted();
      else answered(...message);
    }
  });
  const answered = (_, id, error, value) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(`${error.error}: ${error.message}`));
    else resolve(value);
  };
  socket.on('close', () => {
    for (const { reject } of waiting.values()) reject(new Error('Firefox is gone'));
  });
  await greeting;
  let last = 0;
  return (name, parameters = {}) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject });
      const text = JSON.stringify([0, id, name, parameters]);
      socket.write(`${Buffer.byteLength(text)}:${text}`);
    });
}
