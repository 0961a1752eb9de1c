import type { EventStream, EventStreamOptions } from './events.js';
import { ConnectionError, ProblemError, retryable } from './problem.js';
import { pause, waitFor } from './retry.js';
import { ended, partialReason, type Job, type Page, type PlatenEvent, type Reason } from './types.js';

export interface JobHandlers {
  onJob?(job: Job): void;
  /** A page is new or has changed: it grew, was committed, or another attempt took its number. */
  onPage?(page: Page): void;
  /** A growing page is no page after all. */
  onPageGone?(page: Page): void;
  /** The job has ended early, before onEnd: `why` is `license`, `jam` and others (partialReason). Its pages are there all the same. */
  onPartial?(job: Job, why: Reason): void;
  /** The job has ended, and job and pages are those of its end. Nothing follows. */
  onEnd?(job: Job, pages: Page[]): void;
  /** `up: false`: the connection is lost and tried again. `up: true`: what was told is the true state again. */
  onConnection?(up: boolean, error?: ConnectionError | ProblemError): void;
  /** Following is of no use: signed out, deleted, not allowed. */
  onFailed?(error: unknown): void;
}

/** Where a job can be read: a PlatenClient. */
export interface Jobs {
  job(id: string, signal?: AbortSignal): Promise<Job>;
  allPages(job: string, signal?: AbortSignal): Promise<Page[]>;
  jobEvents(job: string, options: EventStreamOptions): EventStream;
}

/**
 * Follows one job. Whatever happens in between (a dead socket, a restarted gateway, a locked
 * phone), the handlers converge on the job's true state and each change is told once.
 */
export class JobFollower {
  readonly id: string;
  readonly #jobs: Jobs;
  readonly #handlers: JobHandlers;
  readonly #closed = new AbortController();
  readonly #stream: EventStream;
  readonly #pages = new Map<number, Page>();
  readonly #failed = new Set<string>();
  /** Pages that events spoke of since the running re-read began: the events know better. */
  #touched: Set<string> | undefined;
  #jobChanges = 0;
  #reading: Promise<void> | undefined;
  #readAgain = false;
  #job: Job | undefined;
  #up: boolean | undefined;
  #ending = false;

  constructor(jobs: Jobs, id: string, handlers: JobHandlers) {
    this.id = id;
    this.#jobs = jobs;
    this.#handlers = handlers;
    this.#stream = jobs.jobEvents(id, {
      signal: this.#closed.signal,
      onEvent: (event) => this.#onEvent(event),
      // Re-read also after a resume: the events that were missed may have been of an older process.
      onOpen: () => void this.#read(),
      onDown: (error) => this.#connection(false, error),
      onGone: () => this.#read(),
      onEnd: () => {
        if (this.#job && ended(this.#job.state)) void this.#end();
        return this.#ending;
      },
      onFailed: (error) => this.#fail(error),
    });
  }

  get job(): Job | undefined {
    return this.#job;
  }

  /** In order of their numbers. */
  get pages(): Page[] {
    return [...this.#pages.values()].sort((a, b) => a.n - b.n);
  }

  /** Reads job and pages again and asks for the events anew; after one's own change, or a lock screen. */
  refresh(): void {
    this.#stream.wake();
    void this.#read();
  }

  /** Takes over a job that the service answered to a request of one's own. */
  tell(job: Job): void {
    this.#setJob(job);
  }

  close(): void {
    this.#closed.abort();
  }

  #onEvent(event: PlatenEvent): void {
    const { page, job } = event;
    switch (event.type) {
      case 'job-state':
        if (job && job.id === this.id) this.#setJob(job);
        break;
      case 'page-started':
      case 'page-progress':
      case 'page-committed':
        if (page) this.#setPage(page);
        break;
      case 'page-failed':
        if (page) this.#dropPage(page);
        break;
      default:
    }
    if (this.#job && ended(this.#job.state)) void this.#end();
  }

  #setJob(job: Job): void {
    if (this.#job && ended(this.#job.state) && !ended(job.state)) return; // an answer that was overtaken
    if (JSON.stringify(job) === JSON.stringify(this.#job)) return;
    this.#jobChanges++;
    this.#job = job;
    this.#handlers.onJob?.(job);
  }

  #setPage(page: Page, fromList = false): void {
    if (this.#failed.has(page.id)) return;
    if (!fromList) this.#touched?.add(page.id);
    const known = this.#pages.get(page.n);
    if (known && !newer(page, known)) return;
    this.#pages.set(page.n, page);
    this.#handlers.onPage?.(page);
  }

  #dropPage(page: Page): void {
    this.#failed.add(page.id);
    this.#touched?.add(page.id);
    const known = this.#pages.get(page.n);
    if (known?.id !== page.id) return;
    this.#pages.delete(page.n);
    this.#handlers.onPageGone?.(known);
  }

  #connection(up: boolean, error?: ConnectionError | ProblemError): void {
    if (this.#up === up && up) return;
    this.#up = up;
    this.#handlers.onConnection?.(up, error);
  }

  /** Reads the truth; a second call while it runs makes it run once more. */
  #read(): Promise<void> {
    this.#readAgain = true;
    this.#reading ??= this.#readLoop().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #readLoop(): Promise<void> {
    for (let attempt = 1; !this.#closed.signal.aborted; ) {
      this.#readAgain = false;
      this.#touched = new Set();
      const changes = this.#jobChanges;
      try {
        const [job, pages] = await Promise.all([
          this.#jobs.job(this.id, this.#closed.signal),
          this.#jobs.allPages(this.id, this.#closed.signal),
        ]);
        this.#merge(pages, this.#touched);
        // What was told meanwhile is newer than this answer may be.
        if (changes === this.#jobChanges || ended(job.state)) this.#setJob(job);
        this.#connection(true);
        attempt = 1;
        if (ended(job.state)) void this.#end();
        if (!this.#readAgain) return;
      } catch (error) {
        if (this.#closed.signal.aborted) return;
        if (!retryable(error)) {
          this.#fail(error);
          return;
        }
        this.#connection(false, error as ConnectionError | ProblemError);
        try {
          await pause(waitFor(error, attempt++), this.#closed.signal);
        } catch {
          return;
        }
      } finally {
        this.#touched = undefined;
      }
    }
  }

  #merge(pages: Page[], touched: Set<string>): void {
    const listed = new Set(pages.map((p) => p.id));
    for (const page of pages) if (!touched.has(page.id)) this.#setPage(page, true);
    for (const page of this.pages) {
      if (page.state === 'growing' && !listed.has(page.id) && !touched.has(page.id)) this.#dropPage(page);
    }
  }

  #fail(error: unknown): void {
    if (this.#closed.signal.aborted) return;
    this.close();
    this.#handlers.onFailed?.(error);
  }

  /** Reads the end once more, so that what onEnd tells is complete, then stops. */
  async #end(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    if (this.#reading) await this.#reading;
    if (this.#closed.signal.aborted) return;
    await this.#read();
    if (this.#closed.signal.aborted || !this.#job) return;
    const { pages } = this;
    this.close();
    const why = partialReason(this.#job);
    if (why !== undefined) this.#handlers.onPartial?.(this.#job, why);
    this.#handlers.onEnd?.(this.#job, pages);
  }
}

const rank: Record<Page['state'], number> = { growing: 0, committed: 1, delivered: 2, wiped: 3, lost: 3 };

/** Reports whether page tells something that known, of the same number, does not. */
function newer(page: Page, known: Page): boolean {
  if (page.id !== known.id) return page.started >= known.started;
  if (rank[page.state] !== rank[known.state]) return rank[page.state] > rank[known.state];
  return page.lines > known.lines || page.bytes > known.bytes || (page.height ?? 0) !== (known.height ?? 0);
}
