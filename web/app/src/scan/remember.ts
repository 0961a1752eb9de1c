import type { Settings } from '@platen/sdk';
import { t } from '../i18n/index.js';
import { device } from '../store/memory.js';

/** The settings last used with a scanner on this device. */
export function lastSettings(scanner: string): Settings | undefined {
  return device.read<Settings>(`settings.${scanner}`);
}

export function rememberSettings(scanner: string, settings: Settings): void {
  device.write(`settings.${scanner}`, settings);
}

/** What the last scan was, so that "New scan" repeats it with one tap. */
export interface LastScan {
  scanner: string;
  settings: Settings;
}

export function lastScan(): LastScan | undefined {
  return device.read<LastScan>('last-scan');
}

export function rememberScan(scan: LastScan): void {
  device.write('last-scan', scan);
}

/** A document's first name: the day, in the order that sorts. */
export function defaultName(now = new Date()): string {
  const pad = (n: number): string => String(n).padStart(2, '0');
  return t('doc.default-name', { date: `${now.getFullYear()}-${pad(now.getMonth() + 1)}-${pad(now.getDate())}` });
}
