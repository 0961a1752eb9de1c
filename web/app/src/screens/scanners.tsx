import type { PlatenEvent, Scanner, ScannerList } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { moment, t } from '../i18n/index.js';
import { followed, listen } from '../store/events.js';
import { device } from '../store/memory.js';
import { may, session } from '../store/session.js';
import { useStore } from '../store/store.js';
import { Banner, Empty, ProblemScreen, ScannerState, Skeletons } from '../ui/bits.js';
import { Button, Link } from '../ui/button.js';
import { Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { Joining } from '../ui/joining.js';
import { useLoad } from '../ui/use.js';
import { ImportRow } from './import.js';
import { navigate } from '../router.js';

export const lastScanner = 'scanner';

/** Scanners as they are now. Rows never jump: what changes changes in place, what is new comes last. */
export function useScanners(): { list: ScannerList | undefined; error: unknown; reload: () => void } {
  const { epoch } = useStore(followed);
  const loaded = useLoad((signal) => platen.scanners({ limit: 200 }, signal), ['', epoch]);
  const [, redraw] = useState(0);
  const list = loaded.value;
  useEffect(
    () =>
      listen((event: PlatenEvent) => {
        const now = loaded.value;
        if (event.type === 'node-state') loaded.reload();
        if (!now || !event.scanner) return;
        const { scanner } = event;
        const at = now.items.findIndex((s) => s.id === scanner.id);
        if (event.type === 'device-gone') now.items = now.items.filter((s) => s.id !== scanner.id);
        else if (event.type === 'device-state') now.items = at < 0 ? [...now.items, scanner] : now.items.map((s, i) => (i === at ? scanner : s));
        redraw((n) => n + 1);
      }),
    [loaded.value],
  );
  // While drivers still look, their scanners come as events; only the end of the looking must be asked for.
  useEffect(() => {
    if (!list?.looking) return;
    const timer = setTimeout(loaded.reload, 2000);
    return () => clearTimeout(timer);
  }, [list]);
  return { list, error: loaded.error, reload: loaded.reload };
}

export function ScannersScreen() {
  return <ScannerList {...useScanners()} />;
}

export function ScannerList({ list, error, reload }: ReturnType<typeof useScanners>) {
  const now = useStore(session);
  const last = device.read<string>(lastScanner);
  const items = list?.items ?? [];
  const used = items.find((s) => s.id === last);
  const others = items.filter((s) => s !== used);
  const gateway = now.state === 'in' && now.service.role === 'gateway';
  return (
    <Screen title={t('scanners.title')} class="scanners-screen">
      <Joining />
      {!list && !error && <Skeletons />}
      {!list && error !== undefined && <ProblemScreen error={error} onAgain={reload} />}
      {list && items.length === 0 && (list.looking ? <Empty icon="scanner" title={t('scanners.empty.looking')} />
        : gateway ? (
          <Empty
            icon="server"
            title={t('scanners.no-node')}
            actions={<>
              {may('admin') && <Button kind="primary" onClick={() => navigate('/nodes')}>{t('scanners.no-node.add')}</Button>}
              <Button onClick={reload}>{t('check-again')}</Button>
            </>}
          >{t('scanners.no-node.text')}</Empty>
        ) : (
          <Empty icon="scanner" title={t('scanners.empty')} actions={<Button kind="primary" icon="refresh-cw" onClick={reload}>{t('check-again')}</Button>}>
            {t('scanners.empty.text')}
          </Empty>
        ))}
      {used && (
        <section aria-labelledby="last-used">
          <h2 id="last-used">{t('scanners.last')}</h2>
          <div class="card"><ScannerRow scanner={used} large /></div>
        </section>
      )}
      {others.length > 0 && (
        <section aria-labelledby="others">
          <h2 id="others">{t(used ? 'scanners.others' : 'scanners.all')}</h2>
          <ul class="card list">{others.map((s) => <li key={s.id}><ScannerRow scanner={s} /></li>)}</ul>
        </section>
      )}
      {list && !gateway && <ImportRow />}
      {list?.looking && items.length > 0 && <p class="label quiet">{t('scanners.looking')}</p>}
      {list?.incomplete?.filter(({ node }) => !items.some((s) => s.node === node)).map((absent) => (
        <Banner key={absent.node} icon="wifi-off" tone="warn" title={t('scanners.absent', { name: absent.name, time: moment(absent.since) })} />
      ))}
      {list?.faults?.map((fault) => (
        <Banner key={`${fault.node}${fault.driver}`} icon="info" tone="warn" title={t('scanners.fault', { driver: fault.driver, reason: fault.reason })} />
      ))}
    </Screen>
  );
}

function ScannerRow({ scanner, large }: { scanner: Scanner; large?: boolean }) {
  const place = scanner.location ?? (scanner.nodeName !== scanner.name ? scanner.nodeName : undefined);
  return (
    <Link class={`row ${large ? 'large-row' : ''}`} to={`/scanners/${scanner.id}`} data-scanner={scanner.name}>
      <span class="badge"><Icon name="scanner" /></span>
      <span class="text">
        <span class="head">{scanner.name}</span>
        {place && <span class="label quiet">{place}</span>}
        <ScannerState scanner={scanner} />
      </span>
      <Icon name="chevron-right" />
    </Link>
  );
}

