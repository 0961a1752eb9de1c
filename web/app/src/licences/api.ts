import { PlatenLicences } from '@platen/sdk';
import { platen } from '../api.js';

export const licences = new PlatenLicences(platen);
