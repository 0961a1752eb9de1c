import { SealError, type Job } from '@platen/sdk';
import { platen } from './api.js';

/** Who can open the pages of a job when they come by way of the gateway. */
export type Seal = 'none' | 'own' | 'other';

export async function sealOf(job: Job): Promise<Seal> {
  if (!job.recipient) return 'none';
  try {
    return (await platen.openable(job)) ? 'own' : 'other';
  } catch {
    return 'other'; // this browser keeps no keys
  }
}

/** What stands on the paper in place of an image that could not be opened; undefined: that was not the cause. */
export function unopened(error: unknown): 'changed' | 'other' | undefined {
  if (!(error instanceof SealError)) return undefined;
  return error.fault === 'damaged' ? 'changed' : 'other';
}
