import type { Role, SetupEffect } from '@platen/sdk';
import { format } from '../i18n/format.js';
import { alone, language, withTexts } from '../i18n/index.js';
import { effects } from './effects.de.js';
import { names } from './names.js';

export type Key = Parameters<typeof t>[0];

/** The app's texts, and those of this page. */
export const t = withTexts({ en: () => import('./words.en.js').then((m) => m.en), de: () => import('./words.de.js').then((m) => m.de) });

/** `[node] External` stands there without its section, unless the two ends differ. */
const known = (key: string) => names[key] ?? names[key.replace(/^\[(node|gateway)\] /, '')];

/** `[node] External` in words. */
export function settingName(key: string): string {
  return known(key)?.[language.get()] ?? key;
}

/** What a setting is for. The service says it in English. */
export function meaning(key: string, english: string): string {
  if (language.get() === 'de') return known(key)?.text ?? english;
  return english;
}

/** What a change does; undefined if its edits say that already. The service says it in English. */
export function effectText({ code, values = [], text }: SetupEffect): string | undefined {
  if (code === 'value' || code === 'secret') return undefined;
  if (language.get() === 'en') return text;
  return format(effects[code], Object.fromEntries(values.map((value, i) => [`v${i}`, valueText(value)])), 'de');
}

/** A setting's value for people. */
export function valueText(value: string): string {
  if (value === 'TRUE') return t('on');
  if (value === 'FALSE') return t('not-on');
  if (/^(admin|operator|user|kiosk)$/.test(value)) return alone(t(`role.${value as Role}`));
  return value || t('empty');
}
