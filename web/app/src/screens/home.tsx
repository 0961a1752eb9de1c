import { useEffect } from 'preact/hooks';
import { navigate } from '../router.js';
import { device } from '../store/memory.js';
import { lastScanner, ScannerList, useScanners } from './scanners.js';

/** The start: the last scanner, or the only one, else the list. */
export function HomeScreen() {
  const scanners = useScanners();
  const { list } = scanners;
  useEffect(() => {
    if (!list) return;
    const last = device.read<string>(lastScanner);
    const known = list.items.find((s) => s.id === last) ?? (list.items.length === 1 && !list.looking ? list.items[0] : undefined);
    navigate(known ? `/scanners/${known.id}` : '/scanners', { replace: true });
  }, [list]);
  return list ? <ScannerList {...scanners} list={undefined} /> : <ScannerList {...scanners} />;
}
