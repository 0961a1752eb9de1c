/** Opens --url in Firefox, which trusts the authority in the PEM file --ca, and prints what the page may use there. */
import { parseArgs } from 'node:util';
import { startFirefox } from './firefox.mjs';

const { url, ca, shot } = parseArgs({ options: { url: { type: 'string' }, ca: { type: 'string' }, shot: { type: 'string' } } }).values;
const firefox = await startFirefox({ ca });
try {
  await firefox.goto(url);
  const seen = await firefox.evaluate(async () => {
    const service = await (await fetch('/api/v1/service')).json();
    const key = await crypto.subtle?.generateKey('Ed25519', false, ['sign', 'verify']);
    return {
      secure: isSecureContext,
      webTransport: typeof WebTransport,
      peerConnection: typeof RTCPeerConnection,
      ed25519: key?.publicKey?.algorithm?.name ?? '',
      product: service.product,
    };
  });
  if (shot) await firefox.shot(shot);
  process.stdout.write(`${JSON.stringify(seen)}\n`);
} finally {
  await firefox.close();
}
