import { withTexts } from '../i18n/index.js';

export type Key = Parameters<typeof t>[0];

/** The app's texts, and those of the modules. */
export const t = withTexts({ en: () => import('./words.en.js').then((m) => m.en), de: () => import('./words.de.js').then((m) => m.de) });
