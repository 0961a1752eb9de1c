import { ended, ProblemError, type ConnectionError, type Job, type JobFollower, type Page } from '@platen/sdk';
import { platen } from '../api.js';
import { t } from '../i18n/index.js';
import { device } from './memory.js';
import { learnJob } from './origins.js';
import { createStore } from './store.js';
import { setScanTitle } from './title.js';
import { keepAwake } from './wake.js';

/** What the user asked of the running job and has not seen happen yet. */
export type Asked = 'finish' | 'cancel' | 'resume';

export interface Live {
  id: string;
  job: Job | undefined;
  pages: Page[];
  /** When following began, for words about waiting. */
  since: number;
  /** The last sign of life of the scanner: a page, or a change of state. */
  stirred: number;
  up: boolean;
  downSince: number | undefined;
  error: ConnectionError | ProblemError | undefined;
  failed: unknown;
  asked: { what: Asked; at: number } | undefined;
  ended: boolean;
}

/** The job that this device follows: one at most, on every screen. */
export const live = createStore<Live | undefined>(undefined);

let follower: JobFollower | undefined;
let frame = 0;

const remembered = 'job';

export function followJob(id: string): void {
  const now = live.get();
  if (now?.id === id && !now.failed) return;
  follower?.close();
  const since = Date.now();
  live.set({ id, job: undefined, pages: [], since, stirred: since, up: true, downSince: undefined, error: undefined, failed: undefined, asked: undefined, ended: false });
  device.write(remembered, id);
  follower = platen.followJob(id, {
    onJob: (job) => {
      void learnJob(job);
      change(id, (l) => ({ ...l, job, stirred: Date.now(), asked: stillAsked(l, job) }));
    },
    onPage: () => redrawSoon(id),
    onPageGone: () => redrawSoon(id),
    onConnection: (up, error) => change(id, (l) => ({ ...l, up, error, downSince: up ? undefined : (l.downSince ?? Date.now()) })),
    onFailed: (failed) => change(id, (l) => ({ ...l, failed })),
    onEnd: (job, pages) => {
      device.forget(remembered);
      change(id, (l) => ({ ...l, job, pages, ended: true, asked: undefined, up: true, downSince: undefined }));
    },
  });
}

/** Takes up the job that was running when this browser was closed. */
export async function findRunningJob(): Promise<void> {
  const own = device.read<string>(remembered);
  if (!own || live.get()) return;
  try {
    const job = await platen.job(own);
    if (ended(job.state)) device.forget(remembered);
    else if (!live.get()) followJob(own);
  } catch (error) {
    // A lost connection says nothing of the job; the screens say what is wrong with it.
    if (error instanceof ProblemError && error.code === 'not-found') device.forget(remembered);
  }
}

/** Asks something of the running job; the answer shows at once, the state when it is so. */
export async function ask(what: Asked): Promise<void> {
  const { id } = live.get() ?? {};
  if (!id || !follower) return;
  change(id, (l) => ({ ...l, asked: { what, at: Date.now() } }));
  const request = { finish: platen.finishJob, cancel: platen.cancelJob, resume: platen.resumeJob }[what];
  try {
    follower.tell(await request.call(platen, id));
  } catch (error) {
    change(id, (l) => ({ ...l, asked: undefined }));
    follower.refresh();
    throw error;
  }
}

/** A newer state of the followed job, as an answer told it. */
export function tell(job: Job): void {
  if (live.get()?.id === job.id) follower?.tell(job);
}

function stillAsked(l: Live, job: Job): Live['asked'] {
  if (!l.asked || ended(job.state)) return undefined;
  if (l.asked.what === 'resume' && job.state !== 'processing-stopped') return undefined;
  if (l.asked.what === 'finish' && job.state === 'processing-stopped') return undefined;
  return l.asked;
}

function change(id: string, how: (l: Live) => Live): void {
  const now = live.get();
  if (now?.id === id) live.set(how(now));
}

/** Page progress comes more often than a screen is drawn. */
function redrawSoon(id: string): void {
  if (frame) return;
  frame = requestAnimationFrame(draw);
  const late = setTimeout(draw, 200); // no frames come while the page is hidden
  function draw(): void {
    cancelAnimationFrame(frame);
    clearTimeout(late);
    frame = 0;
    if (follower?.id === id) change(id, (l) => ({ ...l, pages: follower!.pages, stirred: Date.now() }));
  }
}

live.subscribe(() => {
  const now = live.get();
  const running = now !== undefined && !now.ended && !now.failed;
  keepAwake(running);
  setScanTitle(running ? t('live.tab', { count: now.job?.growing ?? now.job?.pages ?? 0 }) : '');
});

/** Pages that are whole. */
export function finished(pages: Page[]): Page[] {
  return pages.filter((p) => p.state !== 'growing');
}

/** The page that is being scanned now. */
export function growing(pages: Page[]): Page | undefined {
  return pages.filter((p) => p.state === 'growing').at(-1);
}
