import type { Capabilities, DocumentList, Scanner, Settings, Status } from '@platen/sdk';
import { ProblemError } from '@platen/sdk';
import { useEffect, useRef, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { moment, t } from '../i18n/index.js';
import { Arrival } from '../hold/arrival.js';
import { ManageSheet } from '../hold/manage.js';
import { CodePad } from '../hold/pad.js';
import { back, navigate, useSheet } from '../router.js';
import { presets, type Preset } from '../scan/presets.js';
import { defaultName, lastSettings, rememberSettings } from '../scan/remember.js';
import { ScanIntent } from '../scan/start.js';
import { followed, listen } from '../store/events.js';
import { device } from '../store/memory.js';
import { behindGateway, dismissCheck, session, useOwn } from '../store/session.js';
import { useStore } from '../store/store.js';
import { Banner, CheckString, Empty, ProblemNote, ProblemScreen, ScannerState } from '../ui/bits.js';
import { Button, IconButton, Link } from '../ui/button.js';
import { Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { MenuRow } from '../ui/menu.js';
import { PageImage } from '../ui/page-image.js';
import { RoadLine } from '../ui/road.js';
import { useLoad } from '../ui/use.js';
import { ImportRow } from './import.js';
import { Sending } from './live.js';
import { lastScanner } from './scanners.js';
import { SettingsSheet } from './settings.js';

/** One scanner: a tap on a preset starts the scan. */
export function ScannerScreen({ id }: { id: string }) {
  const { epoch } = useStore(followed);
  const loaded = useLoad((signal) => platen.scanner(id, signal), [id, epoch]);
  const [scanner, setScanner] = useState<Scanner>();
  const capabilities = useLoad((signal) => platen.capabilities(id, signal), [id]);
  const sheet = useSheet('settings');
  const manage = useSheet('manage');
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const intent = useRef<ScanIntent | undefined>(undefined);

  useEffect(() => setScanner(loaded.value), [loaded.value]);
  useEffect(() => listen((event) => {
    if (event.scanner?.id !== id) return;
    if (event.type === 'device-state') setScanner(event.scanner);
    else if (event.type === 'device-gone') setScanner({ ...event.scanner, status: { ...event.scanner.status, state: 'offline' } });
  }), [id]);
  useEffect(() => {
    if (scanner) device.write(lastScanner, id);
  }, [scanner?.id]);
  // A scanner that was asleep or away is asked again when it is back.
  const awake = scanner && scanner.status.state !== 'offline';
  useEffect(() => {
    if (awake && capabilities.error) capabilities.reload();
  }, [awake]);
  useEffect(() => () => intent.current?.cancel(), []);

  const askStatus = async (signal?: AbortSignal): Promise<Status | undefined> => {
    try {
      const status = await platen.status(id, signal);
      setScanner((s) => s && { ...s, status });
      return status;
    } catch {
      return undefined; // the list's state is the best there is
    }
  };
  // The list knows the feeder as it was last; only the device knows whether paper lies in it now.
  useEffect(() => {
    const stop = new AbortController();
    const look = (): void => {
      if (document.visibilityState === 'visible' && scanner?.status.state !== 'offline') void askStatus(stop.signal);
    };
    if (scanner) look();
    document.addEventListener('visibilitychange', look);
    return () => {
      stop.abort();
      document.removeEventListener('visibilitychange', look);
    };
  }, [scanner?.id]);

  const scan = async (choose: () => Settings | Promise<Settings>): Promise<void> => {
    if (intent.current) return; // one tap or five: one scan
    const mine = new ScanIntent(id, async () => ({ settings: await choose(), name: defaultName() }));
    intent.current = mine;
    setSending(true);
    setProblem(undefined);
    dismissCheck();
    try {
      await mine.start();
    } catch (error) {
      if (intent.current === mine) setProblem(error);
    } finally {
      if (intent.current === mine) {
        intent.current = undefined;
        setSending(false);
      }
    }
  };

  if (sending) {
    return <Sending title={scanner?.name ?? t('live.title')} onCancel={() => {
      intent.current?.cancel();
      intent.current = undefined;
      setSending(false);
    }} />;
  }
  const title = scanner?.name ?? t('scanners.title');
  const configures = scanner?.may?.includes('configure') ?? false;
  const gone = loaded.error instanceof ProblemError && loaded.error.code === 'not-found';
  return (
    <Screen title={title} heading={<span class="for-readers">{title}</span>} onBack={() => (document.referrer ? back('/scanners') : navigate('/scanners'))} class="scanner-screen"
      menu={configures && <MenuRow icon="settings" label={t('manage.title')} onClick={() => navigate(`${location.pathname}#manage`, { replace: true, sheet: true })} />}>
      {gone ? (
        <Empty icon="scanner" title={t('scanners.gone')} actions={<Button kind="primary" onClick={() => navigate('/scanners', { replace: true })}>{t('scanners.choose')}</Button>}>
          {t('scanners.gone.text')}
        </Empty>
      ) : !scanner && loaded.error !== undefined ? (
        <ProblemScreen error={loaded.error} onAgain={loaded.reload} actions={<Button onClick={() => navigate('/scanners', { replace: true })}>{t('scanners.choose')}</Button>} />
      ) : (
        <>
          <Checked />
          <Hero scanner={scanner} />
          {problem !== undefined && <ProblemNote error={problem} />}
          {scanner?.status.state === 'offline' ? (
            <Banner icon="wifi-off" tone="warn" title={t('scan.offline', { time: moment(scanner.status.since) })}
              actions={<Button class="small" onClick={() => navigate('/scanners')}>{t('scanners.choose')}</Button>}>
              <p>{t('scan.offline.text', { node: scanner.nodeName })}</p>
            </Banner>
          ) : capabilities.error !== undefined && !capabilities.value ? (
            <ProblemNote error={capabilities.error} actions={<>
              <Button class="small" onClick={capabilities.reload}>{t('again')}</Button>
              <Button class="small" onClick={() => navigate('/scanners')}>{t('scanners.choose')}</Button>
            </>} />
          ) : null}
          {scanner && unreadable(scanner) && <NeedsHTTPS />}
          {scanner && <Arrival scanner={scanner} />}
          {scanner?.may && !scanner.may.includes('scan') && <Banner icon="lock" title={t('scan.not-yours')}><p>{t('scan.not-yours.text')}</p></Banner>}
          <LastDocument />
          <Presets id={id} scanner={scanner} capabilities={capabilities.value} onScan={(preset) => void scan(async () => {
            if (!preset.auto || !capabilities.value) return preset.settings;
            // Feeder or glass is decided by what lies there at the tap.
            const status = await Promise.race([askStatus(), new Promise<undefined>((resolve) => setTimeout(resolve, 1500))]);
            return presets(capabilities.value, status ?? scanner!.status, lastSettings(id)?.source).find((p) => p.id === preset.id)?.settings ?? preset.settings;
          })} onSettings={sheet.show} />
          {scanner && !(scanner.may && !scanner.may.includes('scan')) && <ImportRow node={scanner.node} />}
          {scanner?.hold && <KioskCode scanner={id} />}
          {scanner && configures && manage.open && <ManageSheet scanner={scanner} onClose={manage.hide} onChange={setScanner} />}
          {scanner && capabilities.value && (
            <SettingsSheet
              open={sheet.open}
              onClose={sheet.hide}
              scanner={scanner}
              capabilities={capabilities.value}
              onScan={(settings) => {
                rememberSettings(id, settings);
                navigate(location.pathname, { replace: true });
                void scan(() => settings);
              }}
            />
          )}
        </>
      )}
    </Screen>
  );
}

/** Reports whether this page could not open what it scans there: pages come only encrypted, and the page is at a plain address. */
function unreadable(scanner: Scanner): boolean {
  return scanner.encryption === 'required' && !isSecureContext && behindGateway();
}

function NeedsHTTPS() {
  // The secure address is surely this one only where neither has a port.
  const secure = location.port === '' && location.protocol === 'http:' ? `https://${location.hostname}${location.pathname}` : undefined;
  return (
    <Banner icon="lock" tone="warn" title={t('sealed.https')} actions={secure && <a class="button outlined small" data-action="open-https" href={secure}>{t('sealed.https.open', { host: location.hostname })}</a>}>
      <p>{t('sealed.https.text')}</p>
    </Banner>
  );
}

/** Right after pairing: the symbols to compare with the other screen. */
function Checked() {
  const now = useStore(session);
  if (now.state !== 'in' || !now.check) return null;
  return (
    <Banner icon="circle-check" tone="ok" title={t('pair.done')} close={<IconButton icon="x" label={t('close')} onClick={dismissCheck} />}>
      <p><CheckString check={now.check} /></p>
      <p class="label">{t('pair.done.check')}</p>
    </Banner>
  );
}

function Hero({ scanner }: { scanner: Scanner | undefined }) {
  if (!scanner) return <div class="scanner-hero" />;
  const place = scanner.location ?? (scanner.nodeName !== scanner.name ? scanner.nodeName : undefined);
  return (
    <div class="scanner-hero">
      <span class={`picture ${scanner.status.state === 'offline' ? 'off' : ''}`}><Icon name="scanner" size={56} /></span>
      <p class="title">{scanner.name}</p>
      {place && <p class="label quiet">{place}</p>}
      <div role="status" aria-live="polite"><ScannerState scanner={scanner} /></div>
      <RoadLine node={scanner.node} name={scanner.nodeName} />
      {scanner.encryption && isSecureContext && behindGateway() && <p class="sealed label quiet" data-seal="own"><Icon name="lock" size={16} /><span>{t('sealed.scans')}</span></p>}
      {scanner.hold && <p class="label quiet">{t('held.notice')}</p>}
    </div>
  );
}

/** On the tablet beside the scanner: whoever prepared a scan elsewhere starts it with its code. */
function KioskCode({ scanner }: { scanner: string }) {
  const [open, setOpen] = useState(false);
  const own = useOwn();
  if (own.role !== 'kiosk') return null;
  return <>
    <Button icon="key-round" class="wide kiosk-button" data-action="have-code" onClick={() => setOpen(true)}>{t('pad.open')}</Button>
    {open && <CodePad scanner={scanner} onClose={() => setOpen(false)} />}
  </>;
}

function Presets({ id, scanner, capabilities, onScan, onSettings }: {
  id: string;
  scanner: Scanner | undefined;
  capabilities: Capabilities | undefined;
  onScan: (preset: Preset) => void;
  onSettings: () => void;
}) {
  const ready = scanner !== undefined && capabilities !== undefined && scanner.status.state !== 'offline' && scanner.may?.includes('scan') !== false && !unreadable(scanner);
  const buttons = scanner && capabilities ? presets(capabilities, scanner.status, lastSettings(id)?.source) : [];
  return (
    <section aria-label={t('scan.presets')}>
      <div class="presets">
        {buttons.map((preset) => (
          <button key={preset.id} type="button" class="preset" data-preset={preset.id} disabled={!ready} onClick={() => onScan(preset)}>
            <Icon name={preset.icon} size={32} />
            <span class="name">{t(preset.name)}</span>
            <span class="what label quiet">{t(preset.what, preset.slots)}</span>
          </button>
        ))}
        {buttons.length === 0 && Array.from({ length: 4 }, (_, i) => <div key={i} class="preset skeleton" aria-hidden="true" />)}
      </div>
      {buttons.length === 0 && <p class="for-readers" role="status">{t('scan.asking')}</p>}
      <button type="button" class="card row" data-action="all-settings" disabled={!ready} onClick={onSettings}>
        <Icon name="sliders-horizontal" />
        <span class="text head">{t('scan.all-settings')}</span>
        <Icon name="chevron-right" />
      </button>
    </section>
  );
}

/** The newest document, one tap away. */
function LastDocument() {
  const loaded = useLoad<DocumentList>((signal) => platen.documents({ limit: 1 }, signal), ['']);
  const last = loaded.value?.items[0];
  const first = last?.pages[0];
  if (!last || !first) return null;
  return (
    <Link class="card row last-document" to={`/documents/${last.id}`}>
      <span class="thumb"><span class="stage"><PageImage page={{ job: first.job, n: first.n, width: 240 }} alt="" rotate={first.rotate} room="sign" /></span></span>
      <span class="text">
        <span class="label quiet">{t('scan.last-document')}</span>
        <span class="head middle-cut">{last.name}</span>
        <span class="label quiet">{t('docs.row', { pages: t('pages', { count: last.pages.length }), time: moment(last.updated) })}</span>
      </span>
      <Icon name="chevron-right" />
    </Link>
  );
}
