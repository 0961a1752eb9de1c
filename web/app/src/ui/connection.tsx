import { ProblemError } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { t } from '../i18n/index.js';
import { followed } from '../store/events.js';
import { live } from '../store/live.js';
import { useStore } from '../store/store.js';
import { Icon } from './icon.js';

/** Short drops are not worth a word. */
const patience = 2500;

/** A thin bar while the connection is lost: no dialog, nothing over the pages. */
export function ConnectionBar() {
  const job = useStore(live);
  const events = useStore(followed);
  const scanning = job !== undefined && !job.ended && !job.failed;
  const downSince = scanning ? job.downSince : events.downSince;
  const error = scanning ? job.error : events.error;
  const offline = useOffline();
  const [late, setLate] = useState(false);
  useEffect(() => {
    setLate(false);
    if (downSince === undefined) return;
    const timer = setTimeout(() => setLate(true), Math.max(0, downSince + patience - Date.now()));
    return () => clearTimeout(timer);
  }, [downSince]);
  const shown = offline || (late && downSince !== undefined);
  let text = '';
  if (offline) text = t(scanning ? 'offline.device.scanning' : 'offline.device');
  else if (error instanceof ProblemError && error.code === 'node-offline') text = t('offline.node');
  else text = t(scanning ? 'offline.service.scanning' : 'offline.service');
  return (
    <div role="status" aria-live="polite">
      {shown && (
        <div class="connection" data-connection="lost">
          <Icon name="wifi-off" size={18} />
          <span>{text}</span>
        </div>
      )}
    </div>
  );
}

function useOffline(): boolean {
  const [offline, set] = useState(!navigator.onLine);
  useEffect(() => {
    const look = (): void => set(!navigator.onLine);
    addEventListener('online', look);
    addEventListener('offline', look);
    return () => {
      removeEventListener('online', look);
      removeEventListener('offline', look);
    };
  }, []);
  return offline;
}
