import { ProblemError } from '@platen/sdk';
import { device } from './memory.js';
import { createStore, useStore } from './store.js';

const key = 'importers';

/** What makes pages of files has an ID like a scanner, and stands on no list of scanners. */
const known = createStore<readonly string[]>(device.read<string[]>(key) ?? []);

export function learnImporter(id: string): void {
  if (!id || known.get().includes(id)) return;
  known.set([...known.get(), id].slice(-50));
  device.write(key, known.get());
}

/** A scanner that was away is back. */
export function isScanner(id: string): void {
  if (!known.get().includes(id)) return;
  known.set(known.get().filter((k) => k !== id));
  device.write(key, known.get());
}

/** Takes a job's scanner that is not there for what it is. */
export function noScanner(id: string, error: unknown): void {
  if (error instanceof ProblemError && error.code === 'not-found') learnImporter(id);
}

/** Reports whether a job's pages are those of a file: then it has no scanner. */
export function useImport(scanner: string | undefined): boolean {
  const importers = useStore(known);
  return scanner !== undefined && (scanner === '' || importers.includes(scanner));
}
