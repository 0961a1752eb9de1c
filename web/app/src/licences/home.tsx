import { ProblemError, type License, type LicenseItem, type LicenseKey, type List } from '@platen/sdk';
import { useState } from 'preact/hooks';
import { platen } from '../api.js';
import { alone, date, moment } from '../i18n/index.js';
import { behindGateway, isTracking, may } from '../store/session.js';
import { Banner, Chip, Empty, ProblemScreen, Skeletons } from '../ui/bits.js';
import { Button, Link } from '../ui/button.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon, type IconName } from '../ui/icon.js';
import { Secret } from '../ui/secret.js';
import { Sheet } from '../ui/sheet.js';
import { useLoad } from '../ui/use.js';
import { AddItem } from './add.js';
import { licences } from './api.js';
import { UsageBar } from './bar.js';
import { holds, KeyFacts, KeyProblem, KeyState } from './key.js';
import { nextToEnd, serverState } from './state.js';
import { t, type Key } from './words.js';

/** At a time; each may be thousands. */
const part = 100;

/** What this end is licensed for, and where it is itself the licence tracking server, what it hands out. */
export function HomeScreen() {
  const tracking = isTracking();
  const end = useLoad((signal) => licences.license(signal), []);
  const own = end.value && !end.value.server;
  const items = useLoad((signal) => (own ? firstItems(signal) : Promise.resolve(undefined)), ['', own]);
  const [adding, setAdding] = useState(false);
  const reload = (): void => {
    end.reload();
    items.reload();
  };
  const hands = own && items.value !== undefined;
  return (
    <Screen title={t('title')} class="licences" {...(tracking ? {} : { up: '/admin' })} bar={hands && may('admin') && <Bar id="licences">
      <Button kind="primary" icon="plus" class="primary-place" data-action="add-item" onClick={() => setAdding(true)}>{t('items.add')}</Button>
    </Bar>}>
      {!end.value && end.error === undefined && <Skeletons />}
      {!end.value && end.error !== undefined && <ProblemScreen error={end.error} onAgain={end.reload} />}
      {end.value && <Warnings license={end.value} />}
      {end.value && !(tracking && end.value.mode !== 'licensed') && <End license={end.value} />}
      {end.value && hands && <Items list={items.value!} license={end.value} />}
      {own && items.error !== undefined && <ProblemScreen error={items.error} onAgain={items.reload} />}
      {hands && <Onward />}
      {end.value && !tracking && !behindGateway() && <Modules />}
      {end.value && <Vendors license={end.value} />}
      {adding && <AddItem onClose={() => setAdding(false)} onAdded={reload} />}
    </Screen>
  );
}

/** The first items; undefined where nothing is handed out, as at a node that asks its gateway. */
async function firstItems(signal: AbortSignal): Promise<List<LicenseItem> | undefined> {
  try {
    return await licences.items({ limit: part }, signal);
  } catch (error) {
    if (error instanceof ProblemError && (error.status === 404 || error.status === 405)) return undefined;
    throw error;
  }
}

/** What an administrator should not overlook. */
function Warnings({ license }: { license: License }) {
  const state = serverState(license, Date.now());
  const { server = '', reached } = license;
  return (
    <>
      {license.clock === 'suspect' && <Banner icon="clock" tone="bad" title={t('clock')}><p>{t('clock.text')}</p></Banner>}
      {(state === 'away' || state === 'silent') && (
        <Banner icon="wifi-off" tone="warn" title={state === 'silent' ? t('server.silent', { server }) : t('server.away', { server, time: moment(reached!) })}><p>{t('server.away.text')}</p></Banner>
      )}
    </>
  );
}

/** The mode in one sentence, then the keys. A licence tracking server itself needs none. */
function End({ license }: { license: License }) {
  const [open, setOpen] = useState<LicenseKey>();
  const { mode, keys, handshakeCode, server, reached, unreported = 0 } = license;
  const licensed = mode === 'licensed';
  const bad = licensed && keys.length > 0 && keys.every((k) => k.problem);
  const text = licensed ? undefined : t(`mode.${mode}.text`);
  return (
    <section aria-labelledby="this-end">
      <h2 id="this-end">{t('end')}</h2>
      <div class="card">
        <div class="row" data-mode={mode}>
          <Icon name={bad ? 'circle-alert' : licensed ? 'circle-check' : 'info'} />
          <span class="text">
            <span class="head">{sentence(license, bad)}</span>
            {text && <span class="label quiet">{text}</span>}
            {mode !== 'open' && <span class="label quiet">
              {server ? t('server.other', { server }) : t('server.own')} {server && reached && t('server.reached', { time: moment(reached) })} {server && t('unreported', { count: unreported })}
            </span>}
          </span>
        </div>
        {keys.map((key, at) => !key.id ? (
          <div class="row ruled" key={at}>
            <span class="text">
              <Chip icon="circle-alert" tone="bad">{t('not-usable')}</Chip>
              <span class="label quiet">{key.problem?.detail}</span>
            </span>
          </div>
        ) : (
          <button type="button" class="row ruled" key={key.id} data-key={key.id} onClick={() => setOpen(key)}>
            <span class="text">
              <span class="head">{alone(holds(key))}</span>
              <KeyState licence={key} />
              <span class="label quiet">{[key.organisation, t('until', { date: date(key.expires) }), ...(key.modules ?? []).map((m) => t(`module.${m}`))].join(' · ')}</span>
            </span>
            <Icon name="chevron-right" />
          </button>
        ))}
        {handshakeCode && keys.length > 0 && <p class="row ruled label quiet">{t('mode.licensed.code', { code: handshakeCode })}</p>}
      </div>
      {open && <Sheet open still onClose={() => setOpen(undefined)} title={alone(holds(open))}><KeyProblem licence={open} /><KeyFacts licence={open} /></Sheet>}
    </section>
  );
}

function sentence({ mode, keys, handshakeCode = '' }: License, bad: boolean): string {
  if (mode !== 'licensed') return t(`mode.${mode}`);
  const next = nextToEnd(keys, Date.now());
  if (keys.length === 0) return t('mode.licensed.code', { code: handshakeCode });
  const read = keys.filter((k) => k.id);
  const names = [...new Set(read.map((k) => k.customer || k.organisation))];
  if (!names.length) return t('not-usable');
  if (bad || !next) return t('mode.licensed.bad', { name: names.join(', ') });
  if (names.length > 1) return t('mode.licensed.many', { count: read.length, date: date(next.expires) });
  return t('mode.licensed', { name: next.customer || next.organisation, date: date(next.expires) });
}

function Items({ list, license }: { list: List<LicenseItem>; license: License }) {
  const [more, setMore] = useState<List<LicenseItem>>();
  const [loading, setLoading] = useState(false);
  const items = [...list.items, ...(more?.items ?? [])];
  const next = more ? more.next : list.next;
  const showMore = async (): Promise<void> => {
    setLoading(true);
    try {
      const following = await licences.items({ limit: part, cursor: next! });
      setMore({ ...following, items: [...(more?.items ?? []), ...following.items] });
    } catch {
      // The button is still there.
    }
    setLoading(false);
  };
  return (
    <section aria-labelledby="items">
      <h2 id="items">{t('items')}</h2>
      {items.length === 0 && <Empty icon="key-round" title={t('items.empty')}>{t(license.mode === 'open' ? 'items.empty.open' : 'items.empty.text')}</Empty>}
      {items.length > 0 && (
        <ul class="card list">
          {items.map((item) => (
            <li key={item.key.id}>
              <Link class="row" to={`/licences/items/${item.key.id}`} data-item={item.key.id}>
                <span class="text">
                  <span class="head">{item.key.customer || item.key.organisation}</span>
                  <KeyState licence={item.key} suspended={item.suspended} />
                  <span class="label quiet">{alone(holds(item.key))}, {t('until', { date: date(item.key.expires) })}</span>
                  <UsageBar item={item} />
                </span>
                <Icon name="chevron-right" />
              </Link>
            </li>
          ))}
        </ul>
      )}
      {next && <Button class="wide" disabled={loading} onClick={() => void showMore()}>{t('items.more')}</Button>}
    </section>
  );
}

const rows: { to: string; icon: IconName; name: Key; text: Key }[] = [
  { to: '/licences/codes', icon: 'globe', name: 'codes', text: 'codes.sum' },
  { to: '/licences/usage', icon: 'chart-column', name: 'usage', text: 'usage.sum' },
  { to: '/licences/alerts', icon: 'bell', name: 'alerts', text: 'alerts.sum' },
];

function Onward() {
  return (
    <ul class="card list">
      {rows.map(({ to, icon, name, text }) => (
        <li key={to}>
          <Link class="row" to={to}>
            <Icon name={icon} />
            <span class="text"><span class="head">{t(name)}</span><span class="label quiet">{t(text)}</span></span>
            <Icon name="chevron-right" />
          </Link>
        </li>
      ))}
    </ul>
  );
}

/** What a node itself can do beyond scanning. */
function Modules() {
  const { value } = useLoad((signal) => platen.modules(undefined, signal), []);
  if (!value?.length) return null;
  return (
    <section aria-labelledby="modules">
      <h2 id="modules">{t('modules')}</h2>
      <ul class="card list">
        {value.map((m) => (
          <li class="row" key={m.module} data-module={m.module}>
            <span class="text">
              <span class="head">{t(`module.${m.module}`)}</span>
              {!m.installed ? <Chip icon="download" tone="warn">{t('module.not-installed')}</Chip> : !m.licensed ? <Chip icon="lock" tone="warn">{t('module.not-licensed')}</Chip> : <Chip icon="circle-check" tone="ok">{t('module.good')}</Chip>}
              {!m.installed && m.hint && <span class="label quiet">{t('module.install', { hint: m.hint })}</span>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What a vendor needs to know of this end, and whose licences it takes. */
function Vendors({ license: { pin, vendors } }: { license: License }) {
  return (
    <section aria-labelledby="vendor">
      <h2 id="vendor">{t('pin')}</h2>
      <div class="card padded">
        {pin && <><p>{t('pin.text')}</p><Secret text={pin} /></>}
        <p class="field-label">{t('vendors')}</p>
        {vendors.length === 0 ? <p class="label quiet">{t('vendors.none')}</p> : vendors.map((v) => <p key={v} class="label quiet fact-line">{v}</p>)}
      </div>
    </section>
  );
}
