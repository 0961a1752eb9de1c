import type { Setup, SetupShared } from '@platen/sdk';
import { Banner, Chip } from '../ui/bits.js';
import { eSCLAddress } from './escl.js';
import { Group, Settings, settingValue } from './settings.js';
import { t } from './words.js';

export const bonjour = ['Enable', 'Name', 'Tag', 'Domain'].map((key) => `[bonjour] ${key}`);
export const escl = ['Enable', 'Allow', 'Present', 'Port'].map((key) => `[escl] ${key}`);

export function nearbySum(setup: Setup): string {
  const announces = t(settingValue(setup, '[bonjour] Enable') === 'TRUE' ? 'bonjour.on' : 'bonjour.off');
  return setup.role === 'node' ? `${t('nearby.shared', { count: setup.shared?.length ?? 0 })}. ${announces}` : announces;
}

/** What other computers find here by themselves: on a node its scanners, on both ends the service. */
export function Nearby({ setup }: { setup: Setup }) {
  return (
    <>
      <p class="quiet">{t('nearby.text')}</p>
      {setup.role === 'node' && (
        <Group title={t('escl')} name="escl">
          <p class="label quiet">{t('escl.text')}</p>
          <Settings setup={setup} keys={escl.slice(0, 1)} />
          {settingValue(setup, '[escl] Enable') === 'TRUE' && <Shared setup={setup} />}
          <Settings setup={setup} keys={escl.slice(1)} />
        </Group>
      )}
      <Group title={t('bonjour')} name="bonjour">
        <p class="label quiet">{t('bonjour.text')}</p>
        <Settings setup={setup} keys={setup.role === 'node' ? bonjour : bonjour.slice(0, 3)} />
      </Group>
    </>
  );
}

function Shared({ setup }: { setup: Setup }) {
  const { shared = [] } = setup;
  return (
    <div class="setup-shared">
      <h4>{t('shared')}</h4>
      {shared.length === 0 && <p class="label quiet">{t('shared.none')}</p>}
      {shared.length > 0 && (
        <>
          <p class="label quiet">{t('shared.address')}</p>
          <ul class="list">{shared.map((s) => <SharedRow key={s.scanner} scanner={s} setup={setup} />)}</ul>
        </>
      )}
    </div>
  );
}

function SharedRow({ scanner, setup }: { scanner: SetupShared; setup: Setup }) {
  const { name, announced, remote, fault } = scanner;
  return (
    <li data-shared={name}>
      <p><strong>{name}</strong></p>
      <code class="setup-address">{eSCLAddress(setup.interfaces, settingValue(setup, 'Address'), scanner.port)}</code>
      {remote && <p class="label quiet">{t('shared.remote')}</p>}
      {fault ? <Banner icon="circle-alert" tone="bad" title={t('shared.fault')}><p class="label" lang="en">{fault}</p></Banner>
        : announced ? <Chip icon="circle-check" tone="ok">{t('shared.announced')}</Chip> : <Chip icon="info">{t('shared.silent')}</Chip>}
    </li>
  );
}
