/**
 * Signs people in at the office's identity provider, each in a browser of their own. --rows is a
 * JSON list of {user}, who fills in the provider's form, or {error}, with which the provider sends
 * the browser back. Prints where each ended, and as whom.
 */
import { parseArgs } from 'node:util';
import { launch, main, open, print } from './phone.mjs';

const { url, password, rows } = parseArgs({ options: { url: { type: 'string' }, password: { type: 'string' }, rows: { type: 'string' } } }).values;

const own = (page) => page.evaluate(async () => {
  const answer = await fetch('/api/v1/sessions/current');
  return answer.ok ? answer.json() : undefined;
});

await main(async () => {
  const phone = await launch();
  const visits = [];
  for (const { user, error } of JSON.parse(rows)) {
    const page = await (await phone.browser.newContext()).newPage();
    page.on('pageerror', (fault) => phone.faults.push(String(fault)));
    await open(page, url);
    const [asked] = await Promise.all([
      page.waitForRequest((r) => r.url().includes('code_challenge=')),
      page.locator('[data-action=oidc]').click(),
    ]);
    const username = page.locator('input[name=username]');
    await username.waitFor();
    if (user) {
      await username.fill(user);
      await page.locator('input[name=password]').fill(password);
      await page.locator('button[type=submit]').click();
    } else {
      const query = new URL(asked.url()).searchParams;
      const back = new URL(query.get('redirect_uri'));
      back.searchParams.set('error', error);
      back.searchParams.set('state', query.get('state'));
      await page.goto(back.href);
    }
    const inside = page.locator('.screen:not(.pair-screen)');
    const refused = page.locator('[data-action=again]');
    await inside.or(refused).first().waitFor();
    const visit = { user, error, address: page.url() };
    const session = await own(page);
    if (session) {
      await page.reload();
      await inside.first().waitFor();
      const after = await own(page);
      Object.assign(visit, { role: session.role, name: session.name, kind: session.kind, kept: after?.id === session.id });
    } else visit.words = await page.locator('[role=alert]').innerText();
    print(JSON.stringify(visit));
    visits.push(visit);
    await page.context().close();
  }
  await phone.close();
  return { visits, faults: phone.faults };
});
