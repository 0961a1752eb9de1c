/**
 * A web page of another origin that scans by the SDK. Reads rows from --rows (a JSON list), each
 * {page, base, permission, ask}, and prints what the SDK finds for each; with --consent it goes on
 * to open the consent page, allow the origin, scan, and show the page by a ticket.
 */
import { parseArgs } from 'node:util';
import { startChromium } from './chromium.mjs';
import { print } from './phone.mjs';

const { rows, spaces, names, consent, thief } = parseArgs({
  options: {
    rows: { type: 'string' }, spaces: { type: 'string', default: '' }, names: { type: 'string' }, consent: { type: 'boolean' },
    thief: { type: 'string' },
  },
}).values;
const browser = await startChromium({
  args: [
    `--host-resolver-rules=${names.split(',').map((name) => `MAP ${name} 127.0.0.1`).join(',')}`,
    ...(spaces ? [`--ip-address-space-overrides=${spaces}`] : []),
  ],
});

/** Opens a page of another origin with the browser's answer about local addresses. */
async function visit({ page: url, permission }) {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  const devtools = await browser.newBrowserCDPSession();
  if (permission) {
    const { targetInfos } = await devtools.send('Target.getTargets');
    const target = targetInfos.find((t) => t.type === 'page' && t.url === page.url() && t.browserContextId);
    const pages = await context.newCDPSession(page);
    const { targetInfo } = await pages.send('Target.getTargetInfo');
    for (const name of ['loopback-network', 'local-network']) {
      await devtools.send('Browser.setPermission', {
        permission: { name }, setting: permission, origin: new URL(url).origin, browserContextId: (targetInfo ?? target).browserContextId,
      });
    }
  }
  await page.goto(url);
  return page;
}

const found = [];
for (const row of JSON.parse(rows)) {
  const page = await visit(row);
  const state = await page.evaluate(async ({ base, ask }) => {
    const { connect } = await import('/sdk/index.js');
    const connection = await connect({ base });
    return (ask ? await connection.check({ ask: true }) : connection.now).state;
  }, row);
  found.push(state);
  print(`${row.page} -> ${row.base} ${row.permission ?? ''}: ${state}`);
  if (!consent) await page.context().close();
}

let scanned;
if (consent) {
  const [row] = JSON.parse(rows);
  const page = await visit(row);
  const consentUrl = await page.evaluate(async (base) => {
    const { connect } = await import('/sdk/index.js');
    globalThis.connection = await connect({ base });
    return globalThis.connection.now.consentUrl;
  }, row.base);
  const own = await page.context().newPage();
  await own.goto(consentUrl);
  await own.locator('[data-action=allow]').waitFor();
  await page.evaluate((url) => {
    const frame = document.createElement('iframe');
    frame.src = url;
    document.body.append(frame);
  }, consentUrl);
  const framed = await page.frameLocator('iframe').locator('[data-action=allow]').waitFor({ timeout: 3000 }).then(() => true, () => false);
  await own.locator('[data-action=allow]').click();
  await own.locator('.allow-screen .fill[role=status]').waitFor();
  scanned = await page.evaluate(async () => {
    const { connection } = globalThis;
    const { state, session } = await connection.check();
    const { items } = await connection.platen.scanners();
    let job = await connection.platen.createJob(items[0].id, { settings: { source: 'platen', resolution: 75 } });
    for (let i = 0; i < 200 && !['completed', 'aborted', 'canceled'].includes(job.state); i++) {
      await new Promise((r) => setTimeout(r, 100));
      job = await connection.platen.job(job.id);
    }
    const url = await connection.ticketURL(connection.platen.pageURL(job.id, 1));
    const show = (src) => new Promise((resolve) => {
      const image = new Image();
      image.onload = () => resolve(image.naturalWidth);
      image.onerror = () => resolve(0);
      image.src = src;
    });
    return { state, role: session?.role, kind: session?.kind, job: job.state, width: await show(url), again: (await fetch(url)).status };
  });
  scanned.framed = framed;
  if (thief) {
    // The token, stolen by a page of another origin that the service allows too.
    const token = await page.evaluate(async (base) => {
      let stolen;
      const { connect } = await import('/sdk/index.js');
      await connect({ base, fetch: async (...args) => {
        const answer = await fetch(...args);
        if (String(args[0].url ?? args[0]).endsWith('/sessions')) stolen = (await answer.clone().json()).token;
        return answer;
      } });
      return stolen;
    }, row.base);
    const other = await visit({ ...row, page: thief });
    scanned.stolen = await other.evaluate(async ({ base, bearer }) => {
      const answer = await fetch(`${base}/api/v1/jobs`, { headers: { Authorization: `Bearer ${bearer}` } });
      return { had: Boolean(bearer), status: answer.status, code: (await answer.json()).code };
    }, { base: row.base, bearer: token });
  }
}
print(JSON.stringify({ found, scanned }));
await browser.close();
