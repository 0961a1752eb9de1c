import { withTexts } from '../i18n/index.js';
import { de } from './words.de.js';
import { en } from './words.en.js';

export const t = withTexts({ en, de });
