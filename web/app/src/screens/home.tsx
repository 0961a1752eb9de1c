import { useEffect } from 'preact/hooks';
import { navigate } from '../router.js';
import { device } from '../store/memory.js';
import { lastScanner, ScannerList, useScanners } from './scanners.js';

/** The start: the last scanner, or the only one, else the list. One that may turn out to be the only one is listed meanwhile. */
export function HomeScreen() {
  const scanners = useScanners();
  const { list } = scanners;
  const items = list?.items ?? [];
  const last = device.read<string>(lastScanner);
  const known = items.find((s) => s.id === last) ?? (items.length === 1 && !list?.looking ? items[0] : undefined);
  const waits = !known && items.length < 2 && list?.looking;
  useEffect(() => {
    if (list && !waits) navigate(known ? `/scanners/${known.id}` : '/scanners', { replace: true });
  }, [list, known, waits]);
  return <ScannerList {...scanners} list={waits ? list : undefined} />;
}
