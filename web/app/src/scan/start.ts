import { ended, uuid7, type JobRequest } from '@platen/sdk';
import { platen } from '../api.js';
import { navigate } from '../router.js';
import { followJob } from '../store/live.js';
import { rememberScan } from './remember.js';

/** One intent to scan: one tap, one key, one job. */
export class ScanIntent {
  readonly #scanner: string;
  readonly #make: () => JobRequest | Promise<JobRequest>;
  readonly #key = uuid7();
  #canceled = false;
  #started = false;

  /** The request may need a question to the scanner first; the tap is answered before. */
  constructor(scanner: string, make: () => JobRequest | Promise<JobRequest>) {
    this.#scanner = scanner;
    this.#make = make;
  }

  /** Starts the scan and goes to it. */
  async start(): Promise<void> {
    const request = await this.#make();
    if (this.#canceled) return;
    rememberScan({ scanner: this.#scanner, settings: request.settings });
    const job = await platen.createJob(this.#scanner, request, { key: this.#key });
    if (this.#canceled) {
      if (!ended(job.state)) await platen.cancelJob(job.id);
      return;
    }
    this.#started = true;
    followJob(job.id);
    navigate(`/jobs/${job.id}`);
  }

  /** The user wants it no more. The request may be on its way, so the job that it makes is canceled when its answer comes. */
  cancel(): void {
    if (!this.#started) this.#canceled = true;
  }
}
