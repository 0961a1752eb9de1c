import { withTexts } from '../i18n/index.js';

export const t = withTexts({ en: () => import('./words.en.js').then((m) => m.en), de: () => import('./words.de.js').then((m) => m.de) });
