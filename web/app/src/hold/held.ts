import type { Job } from '@platen/sdk';

/** The job waits until its owner stands at the scanner. */
export function isHeld(job: Job | undefined): boolean {
  return job?.state === 'pending-held' && job.reasons?.includes('held-for-owner') === true;
}

/** Only its owner is told a job's code. */
export function isOwnHeld(job: Job): boolean {
  return isHeld(job) && job.releaseCode !== undefined;
}
