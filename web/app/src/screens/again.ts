import type { Settings } from '@platen/sdk';
import { sentence } from '../i18n/words.js';
import { navigate } from '../router.js';
import { defaultName, lastScan } from '../scan/remember.js';
import { ScanIntent } from '../scan/start.js';
import { showToast } from '../ui/toast.js';

let running: Promise<void> | undefined;

/** Scans again with the same settings, or into a document. Taps while it starts are the same intent. */
export function repeatLast(scanner: string, settings: Settings, document?: string): Promise<void> {
  running ??= start(scanner, settings, document).finally(() => (running = undefined));
  return running;
}

async function start(scanner: string, settings: Settings, document: string | undefined): Promise<void> {
  try {
    await new ScanIntent(scanner, () => ({ settings, ...(document ? { document } : { name: defaultName() }) })).start();
  } catch (error) {
    showToast(sentence(error));
    if (!document) navigate(`/scanners/${scanner}`, { replace: true });
  }
}

/** "New scan" after saving: the same scanner and settings as the last one. */
export function newScan(): void {
  const last = lastScan();
  if (last) void repeatLast(last.scanner, last.settings);
  else navigate('/', { replace: true });
}
