import type { Setup } from '@platen/sdk';
import { Secret } from '../ui/secret.js';
import { CA, CertificateCard } from './certificate.js';
import { Closed, Group, Settings, settingValue } from './settings.js';
import { t } from './words.js';

/** Files of certificates, in [tls]. */
export const files = {
  local: ['[tls] LocalCertificate', '[tls] LocalKey'],
  external: ['[tls] ExternalCertificate', '[tls] ExternalKey'],
};
export const host = { node: ['External', 'Address', 'HTTPSPort', 'AllowPlainHTTP'], gateway: ['PublicAddress', 'Port', 'HTTPPort', 'AllowPlainHTTP'], tracking: ['Port'] };
export const acme = ['Names', 'Agree', 'Email', 'Challenge', 'DNSHook', 'Directory', 'Root'].map((key) => `[acme] ${key}`);

/** Other devices: host, firewall, domain and certificate. */
export function External({ setup, onDone }: { setup: Setup; onDone: () => void }) {
  const set = (keys: string[]): boolean => keys.some((key) => setup.settings.some((s) => s.key === key && s.source !== 'default'));
  return (
    <>
      <p class="quiet">{t('external.text')}</p>
      <Group title={t('host')} name="host">
        <Settings setup={setup} keys={host[setup.role]} />
        <div>
          <p class="field-label">{t('host.here')}</p>
          {setup.interfaces.length === 0 && <p class="label quiet">{t('host.none')}</p>}
          {setup.interfaces.map((i) => <p class="label quiet" key={i.name}>{i.name}: {i.addresses.join(', ')}</p>)}
        </div>
      </Group>
      <Firewall setup={setup} />
      <Group title={t('domain')} name="domain">
        <Settings setup={setup} keys={['Names']} />
        <CertificateCard slot="external" setup={setup} onDone={onDone} />
        <CA setup={setup} plain={addressOf(setup, 'HTTPPort')} />
        <Closed title={t('files')} open={set(files.external)}><Settings setup={setup} keys={files.external} /></Closed>
        <Closed title={t('acme')} open={set(acme)}><Settings setup={setup} keys={acme} /></Closed>
      </Group>
    </>
  );
}

/** The address by which other devices come to a port; undefined if none can. */
export function addressOf(setup: Setup, key: 'HTTPPort' | 'HTTPSPort' | 'Port'): string | undefined {
  const port = Number(settingValue(setup, key));
  const open = setup.ports.find((p) => p.open && p.port === port && p.protocol === 'tcp' && p.address !== 'loopback');
  const at = open?.address === 'all' ? setup.interfaces[0]?.addresses[0] : open?.address;
  if (!at) return undefined;
  return `${key === 'HTTPPort' ? 'http' : 'https'}://${at.includes(':') ? `[${at}]` : at}:${port}`;
}

/** The exact commands for each firewall, the one of this machine first. */
function Firewall({ setup }: { setup: Setup }) {
  const walls = [...setup.firewall].sort((a, b) => Number(b.present ?? false) - Number(a.present ?? false));
  return (
    <Group title={t('firewall')} name="firewall">
      <p class="label quiet">{t('firewall.text')}</p>
      {walls.map(({ system, present, commands }) => (
        <Closed key={system} title={present ? t('firewall.here', { system: systems[system] }) : systems[system]} open={present ?? false}>
          <Secret text={commands.join('\n')} />
        </Closed>
      ))}
    </Group>
  );
}

const systems: Record<Setup['firewall'][number]['system'], string> = { ufw: 'ufw', firewalld: 'firewalld', nftables: 'nftables', windows: 'Windows' };
