import type { Setup } from '@platen/sdk';
import { alone, bytes, moment } from '../i18n/index.js';
import { act } from '../ui/act.js';
import { Chip, Segmented } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { api } from './api.js';
import { Closed, settingValue } from './settings.js';
import { t, type Key } from './words.js';

const levels = ['error', 'warn', 'info', 'debug'] as const;
const levelKey = '[log] LogLevel';
const logMinutes = 60;

/** The left side: how the service is, and how much it logs. */
export function Status({ setup, onChange }: { setup: Setup; onChange: () => void }) {
  const { log, role } = setup;
  const usual = settingValue(setup, levelKey);
  const choose = (level: string): void => {
    const passing = level !== usual;
    void act(
      () => api.change({ values: { [levelKey]: level }, ...(passing ? { logMinutes } : {}) }),
      t(passing ? 'log.set' : 'log.kept', { level }),
    ).then(onChange);
  };
  const keep = (): void => void act(() => api.change({ values: { [levelKey]: log.level } }), t('log.kept', { level: log.level })).then(onChange);
  const facts = [
    ...(role === 'gateway' ? [t('nodes', { count: setup.nodes ?? 0 })] : role === 'node' ? [t('scanners', { count: setup.scanners ?? 0 })] : []),
    ...(role === 'node' ? [t('queue', { count: setup.queue ?? 0 })] : []),
    ...(setup.disk === undefined ? [] : [t('disk', { size: bytes(setup.disk) })]),
  ];
  return (
    <div class="setup-status card padded">
      <div>
        <h2 class="title">{setup.name}</h2>
        <p class="label quiet">{t(`role.${role}`)} · {t('version', { version: setup.version })}</p>
      </div>
      <Chip icon={setup.state === 'running' ? 'circle-check' : 'clock'} tone={setup.state === 'running' ? 'ok' : 'warn'}>{setup.state === 'running' ? t('running', { time: moment(setup.started) }) : t('starting')}</Chip>
      <p>{alone(facts.join(' · '))}</p>
      <div>
        <p class="field-label">{t('fault')}</p>
        <p class="label quiet">{setup.fault ? <span lang="en">{setup.fault}</span> : t('no-fault')}</p>
      </div>
      <div class="setup-log">
        <Segmented label={t('log')} name="log" value={log.level} choices={levels.map((value) => ({ value, label: value }))} onChange={choose}
          hint={log.until ? t('log.until', { level: usual, time: moment(log.until) }) : t('log.hour', { level: usual })} />
        {log.until && <div class="actions"><Button class="small" data-action="keep-level" onClick={keep}>{t('log.keep', { level: log.level })}</Button></div>}
      </div>
      <Closed title={t('ports')}>
        <dl class="setup-facts">
          {setup.ports.map((p) => (
            <div key={`${p.name}${p.address}${p.port}${p.protocol}`}>
              <dt>{portWord(p.name)}</dt>
              <dd><span class="numbers">{p.port}/{p.protocol}</span> · {portWord(p.address)}{!p.open && ` · ${t('port.closed')}`}</dd>
            </div>
          ))}
        </dl>
      </Closed>
      <Closed title={t('paths')}>
        <dl class="setup-facts">{setup.paths.map((p) => <div key={p.name}><dt>{t(`path.${p.name}`)}</dt><dd>{p.path}</dd></div>)}</dl>
        <div class="actions"><Button class="small" icon="download" data-action="report" onClick={() => save(setup)}>{t('report')}</Button></div>
      </Closed>
    </div>
  );
}

/** What the service calls its ports and their addresses. */
const portWords: Record<string, Key> = {
  'HTTP': 'port.HTTP', 'HTTPS': 'port.HTTPS', 'the setup page': 'port.page', 'the setup page over HTTPS': 'port.page.secure',
  'browsers and nodes': 'port.front', 'all': 'port.all', 'loopback': 'port.loopback',
};

function portWord(word: string): string {
  const key = portWords[word];
  return key ? t(key) : word;
}

/** Everything on this page as a file for support. It holds no secret. */
function save(setup: Setup): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify(setup, null, 2)], { type: 'application/json' }));
  link.download = 'platen-setup.json';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
