import type { ConnectionError, EventStream, PlatenEvent, ProblemError } from '@platen/sdk';
import { platen } from '../api.js';
import { createStore } from './store.js';

interface Followed {
  downSince: number | undefined;
  error: ConnectionError | ProblemError | undefined;
  /** Counts the times that everything must be read again: at first, and after events were missed. */
  epoch: number;
}

/** The service's event stream: one for the whole app, while some screen wants it. */
export const followed = createStore<Followed>({ downSince: undefined, error: undefined, epoch: 0 });

const listeners = new Set<(event: PlatenEvent) => void>();
let stream: EventStream | undefined;

/** The stream stays over a change of screens. */
const lingering = 5000;

function closeIfUnused(): void {
  if (listeners.size > 0) return;
  stream?.close();
  stream = undefined;
  followed.update((f) => ({ ...f, downSince: undefined, error: undefined }));
}

/** Follows what happens at the service. Answers how to stop. */
export function listen(listener: (event: PlatenEvent) => void): () => void {
  listeners.add(listener);
  stream ??= platen.events({
    onEvent: (event) => listeners.forEach((l) => l(event)),
    onOpen: (resumed) => followed.update((f) => ({ downSince: undefined, error: undefined, epoch: resumed ? f.epoch : f.epoch + 1 })),
    onDown: (error) => followed.update((f) => ({ ...f, error, downSince: f.downSince ?? Date.now() })),
    onFailed: () => (stream = undefined),
  });
  return () => {
    listeners.delete(listener);
    setTimeout(closeIfUnused, lingering);
  };
}
