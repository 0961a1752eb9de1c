import { ProblemError } from './problem.js';

/** How long to wait before try `attempt` (from 1): full jitter over a doubling bound. Milliseconds. */
export function backOff(attempt: number, base = 250, cap = 8000, random: () => number = Math.random): number {
  return Math.round(random() * Math.min(cap, base * 2 ** Math.min(attempt, 16)));
}

/** The wait that a problem asks for, or the back-off if that is longer. Milliseconds. */
export function waitFor(error: unknown, attempt: number): number {
  const asked = error instanceof ProblemError && error.retryAfter ? error.retryAfter * 1000 : 0;
  return Math.max(asked, backOff(attempt));
}

/** Resolves after ms, at once when `wake` fires, and rejects when the signal aborts. */
export function pause(ms: number, signal?: AbortSignal, wake?: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', abort, { once: true });
    wake?.(done);
  });
}
