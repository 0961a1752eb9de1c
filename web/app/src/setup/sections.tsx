import type { Setup, SetupChange } from '@platen/sdk';
import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { Link } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { useMedia, wide } from '../ui/use.js';
import { Audit } from './audit.js';
import { CertificateCard } from './certificate.js';
import { Changes } from './changes.js';
import { acme, addressOf, External, files, host } from './external.js';
import { finding, Gateway, gatewaySum } from './gateway.js';
import { bonjour, escl, Nearby, nearbySum } from './nearby.js';
import { Closed, findSetting, Group, Settings, settingValue } from './settings.js';
import { t, type Key } from './words.js';

interface Section {
  key: Key;
  sum: string;
  body: () => ComponentChildren;
}

interface SectionsProps {
  setup: Setup;
  /** Newest first. */
  changes: SetupChange[];
  reload: () => void;
}

const origins = 'Access-Control-Allow-Origin';
const here = { node: ['TrustLoopback', 'HTTPPort'], gateway: [], tracking: [] };
const licence = ['Vendors', 'ProductKey', 'HandshakeCode', 'Servers'].map((key) => `[license] ${key}`);
const standby = ['Standby', 'Main'].map((key) => `[tracking] ${key}`);
const alerts = ['SMTP', 'Security', 'From', 'User', 'Password'].map((key) => `[alerts] ${key}`);
const page = ['EnableWebSetup', 'SetupHTTPPort', 'SetupHTTPSPort'];
const oidc = (setup: Setup): string[] => setup.settings.map((s) => s.key).filter((key) => key.startsWith('[oidc] '));

/** What a licence tracking server has nothing of. */
const ofScanning: Key[] = ['local', 'nearby'];

function sectionsOf(props: SectionsProps): Section[] {
  return allSections(props).filter((s) => props.setup.role !== 'tracking' || !ofScanning.includes(s.key));
}

function allSections({ setup, changes, reload }: SectionsProps): Section[] {
  const allowed = settingValue(setup, origins);
  const mode = setup.licence ?? 'open';
  const outside = addressOf(setup, setup.role === 'node' ? 'HTTPSPort' : 'Port');
  const placed = [origins, ...here[setup.role], ...host[setup.role], 'Names', 'MaxRole', ...page, ...files.local, ...files.external, ...acme, ...escl, ...bonjour, ...finding, ...oidc(setup), ...licence, ...standby, ...alerts, '[log] LogLevel']
    .map((key) => findSetting(setup, key)?.key);
  const rest = setup.settings.map((s) => s.key).filter((key) => !placed.includes(key));
  return [
    {
      key: 'local',
      sum: allowed === '*' ? t('local.any') : t('local.sum', { count: allowed.split(',').filter((o) => o.trim()).length }),
      body: () => (
        <>
          <p class="quiet">{t('local.text')}</p>
          {here[setup.role].length > 0 && <Group title={t('local.here')} name="here"><Settings setup={setup} keys={here[setup.role]} /></Group>}
          <Group title={t('local.pages')} name="origins">
            <Settings setup={setup} keys={[origins]} />
            <p class="label quiet">{t('local.pages.people')}</p>
            <Onward to="/origins" icon="globe" label={t('local.pages.open')} />
          </Group>
          <section class="setup-group" data-group="certificate">
            <CertificateCard slot="local" setup={setup} onDone={reload} />
            <Closed title={t('files')}><Settings setup={setup} keys={files.local} /></Closed>
          </section>
        </>
      ),
    },
    { key: 'external', sum: outside ? t('external.on', { address: outside }) : t('external.off'), body: () => <External setup={setup} onDone={reload} /> },
    { key: 'nearby', sum: nearbySum(setup), body: () => <Nearby setup={setup} /> },
    ...(setup.role === 'node' ? [{ key: 'gateway' as const, sum: gatewaySum(setup), body: () => <Gateway setup={setup} onDone={reload} /> }] : []),
    {
      key: 'licence',
      sum: t(`licence.${mode}`),
      body: () => (
        <>
          <p>{t(`licence.${mode}.text`)}</p>
          <Onward to="/licences" icon="key-round" label={t('licence.onward')} />
          <Group title={t('licence.settings')} name="licence"><Settings setup={setup} keys={licence} /></Group>
          {setup.role === 'tracking' && <Group title={t('licence.standby')} name="standby"><Settings setup={setup} keys={standby} /></Group>}
          {setup.role !== 'node' && <Group title={t('licence.mail')} name="alerts"><Settings setup={setup} keys={alerts} /></Group>}
        </>
      ),
    },
    {
      key: 'people',
      sum: t('people.sum'),
      body: () => (
        <>
          <p class="quiet">{t('people.text')}</p>
          <Onward to="/people" icon="users-round" label={t('people.open')} />
          <Group title={t('people.oidc')} name="oidc"><Settings setup={setup} keys={oidc(setup)} /></Group>
        </>
      ),
    },
    { key: 'audit', sum: t('audit.sum'), body: () => <Audit /> },
    {
      key: 'changes',
      sum: t('changes.sum', { count: changes.length }),
      body: () => (
        <>
          <p class="quiet">{changes.length > 0 ? t('changes.text') : `${t('changes.sum', { count: 0 })}.`}</p>
          <Changes list={changes} reload={reload} />
        </>
      ),
    },
    {
      key: 'other',
      sum: t('other.sum'),
      body: () => (
        <>
          <Group title={t('other.service')} name="service"><Settings setup={setup} keys={rest} /></Group>
          <Group title={t('other.page')} name="page"><Settings setup={setup} keys={page} /></Group>
        </>
      ),
    },
  ];
}

/** On a phone closed sections with what stands in them in one line; on a desktop tabs. */
export function Sections(props: SectionsProps) {
  const sections = sectionsOf(props);
  return useMedia(wide) ? <Tabs sections={sections} /> : (
    <div class="setup-sections">
      {sections.map(({ key, ...section }) => <Folded key={key} name={key} {...section} />)}
    </div>
  );
}

/** What stands in it is made when it is opened. */
function Folded({ name, sum, body }: Omit<Section, 'key'> & { name: Key }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="card setup-fold" data-section={name} open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary class="row">
        <span class="text"><span class="head">{t(name)}</span><span class="label quiet">{sum}</span></span>
        <Icon name="chevron-right" />
      </summary>
      {open && <div class="setup-body">{body()}</div>}
    </details>
  );
}

function Tabs({ sections }: { sections: Section[] }) {
  const [tab, setTab] = useState(sections[0]!.key);
  const list = useRef<HTMLDivElement>(null);
  const shown = sections.find((s) => s.key === tab) ?? sections[0]!;
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = (sections.indexOf(shown) + step + sections.length) % sections.length;
    setTab(sections[at]!.key);
    list.current?.querySelectorAll('button')[at]?.focus();
  };
  return (
    <div class="setup-sections">
      <div class="setup-tabs" role="tablist" aria-label={t('title')} ref={list} onKeyDown={onKeyDown}>
        {sections.map(({ key }) => (
          <button type="button" role="tab" key={key} id={`tab-${key}`} data-section={key} aria-selected={key === shown.key} aria-controls="setup-panel" tabIndex={key === shown.key ? 0 : -1} onClick={() => setTab(key)}>{t(key)}</button>
        ))}
      </div>
      <div class="card setup-body" role="tabpanel" id="setup-panel" aria-labelledby={`tab-${shown.key}`} key={shown.key}>
        <p class="setup-sum">{shown.sum}</p>
        {shown.body()}
      </div>
    </div>
  );
}

/** A way on into the app. */
function Onward({ to, icon, label }: { to: string; icon: 'globe' | 'key-round' | 'users-round'; label: string }) {
  return <Link to={to} class="row card"><Icon name={icon} /><span class="text head">{label}</span><Icon name="chevron-right" /></Link>;
}
