import { ConnectionError, ProblemError, type Job } from '@platen/sdk';
import { useEffect } from 'preact/hooks';
import { platen } from '../api.js';
import { sealOf, type Seal } from '../seal.js';
import { behindGateway } from './session.js';
import { createStore, useStore } from './store.js';

/** Where the pages of a job come from, and who can open them. */
export interface Origin {
  /** Empty: from the service itself. */
  node: string;
  seal: Seal;
}

const local: Origin = { node: '', seal: 'none' };
const maxKnown = 4096;
const abreast = 4; // requests at a time
const pause = 3000; // milliseconds after a lost connection

const known = createStore<ReadonlyMap<string, Origin>>(new Map());
const wanted = new Set<string>();
let reading: Promise<void> | undefined;
let listed = false;

/** Notes what a job says of its pages. */
export async function learnJob(job: Job): Promise<void> {
  if (!behindGateway()) return;
  const origin: Origin = { node: job.node, seal: await sealOf(job) };
  wanted.delete(job.id);
  const before = known.get().get(job.id);
  if (before?.node === origin.node && before.seal === origin.seal) return;
  const next = new Map(known.get()).set(job.id, origin);
  const [oldest] = next.keys();
  if (next.size > maxKnown && oldest !== undefined) next.delete(oldest);
  known.set(next);
}

/** The origin of each job; undefined while one is not known. Jobs are read once. */
function useOrigins(jobs: readonly string[]): (Origin | undefined)[] {
  const map = useStore(known);
  const between = behindGateway();
  const missing = between ? jobs.filter((job) => !map.has(job)).join(' ') : '';
  useEffect(() => {
    if (missing) want(missing.split(' '));
  }, [missing]);
  return jobs.map((job) => (between ? map.get(job) : local));
}

export function useOrigin(job: string | undefined): Origin | undefined {
  return useOrigins(job === undefined ? [] : [job])[0];
}

/** Who can open all pages of these jobs: `other` if this browser lacks one, undefined while that is not known. */
export function useSeal(jobs: readonly string[]): Seal | undefined {
  const seals = useOrigins([...new Set(jobs)]).map((o) => o?.seal);
  if (seals.includes('other')) return 'other';
  if (seals.includes(undefined)) return undefined;
  return seals.includes('own') ? 'own' : 'none';
}

function want(jobs: string[]): void {
  for (const job of jobs) wanted.add(job);
  reading ??= read().finally(() => (reading = undefined));
}

async function read(): Promise<void> {
  await Promise.resolve(); // what is drawn together is read together
  try {
    if (wanted.size > abreast && !listed) {
      const { items } = await platen.jobs({ limit: 200 });
      listed = true;
      await Promise.all(items.map(learnJob));
    }
    while (wanted.size > 0) await Promise.all([...wanted].slice(0, abreast).map(readOne));
  } catch {
    setTimeout(() => want([]), pause);
  }
}

async function readOne(id: string): Promise<void> {
  try {
    await learnJob(await platen.job(id));
  } catch (error) {
    if (error instanceof ConnectionError || (error instanceof ProblemError && error.retryable)) throw error;
    wanted.delete(id);
    known.set(new Map(known.get()).set(id, local)); // the image itself says what is wrong
  }
}
