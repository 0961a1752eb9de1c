/**
 * Pairs as a person by --url, a pairing link, adds a passkey on the account screen, signs out, and
 * signs in with it. Then opens --address, where the service is called by its address, which cannot
 * have passkeys. The authenticator is Chromium's virtual one.
 */
import { parseArgs } from 'node:util';
import { launch, main, open, pair } from './phone.mjs';

const { url, address } = parseArgs({ options: { url: { type: 'string' }, address: { type: 'string' } } }).values;

const own = (page) => page.evaluate(async () => {
  const answer = await fetch('/api/v1/sessions/current');
  return answer.ok ? answer.json() : undefined;
});

await main(async () => {
  const { context, page, faults, close } = await launch();
  const devtools = await context.newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  await open(page, url);
  await pair(page);
  const paired = await own(page);
  const { origin } = new URL(url);
  await open(page, `${origin}/account`);
  await page.locator('[data-action=add-passkey]').click();
  await page.locator('[data-passkey]').waitFor();
  const { credentials } = await devtools.send('WebAuthn.getCredentials', { authenticatorId });
  await page.locator('[data-action=sign-out]').click();
  await page.locator('[data-action=passkey]').waitFor();
  const out = await own(page);
  await page.locator('[data-action=passkey]').click();
  await page.locator('.screen:not(.pair-screen)').first().waitFor();
  const signedIn = await own(page);
  await open(page, address);
  await page.locator('input[name=code]').waitFor();
  const offered = await page.locator('[data-action=passkey]').count();
  await close();
  return { paired, out: out === undefined, signedIn, resident: credentials.map((c) => c.isResidentCredential), names: credentials.map((c) => c.rpId), offered, faults };
});
