import { withTexts } from '../i18n/index.js';
import { de } from './words.de.js';
import { en } from './words.en.js';

export type Key = Parameters<typeof t>[0];

/** The app's texts, and those of the modules. */
export const t = withTexts({ en, de });
