import type { Problem } from './types.js';

/** The service answered, and the answer is a problem document (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  /** Stable; decide by this. */
  readonly code: string;
  /** What happened, in one English sentence. */
  readonly title: string;
  /** What happened here. */
  readonly detail: string | undefined;
  /** What to do about it. */
  readonly next: string | undefined;
  /** The member of the request that is wrong. */
  readonly field: string | undefined;
  /** The same request may succeed later. */
  readonly retryable: boolean;
  /** Seconds after which trying again may help. */
  readonly retryAfter: number | undefined;

  constructor(problem: Problem) {
    super(problem.detail ? `${problem.code}: ${problem.detail}` : `${problem.code}: ${problem.title}`);
    this.status = problem.status;
    this.code = problem.code;
    this.title = problem.title;
    this.detail = problem.detail;
    this.next = problem.next;
    this.field = problem.field;
    this.retryable = problem.retryable;
    this.retryAfter = problem.retryAfter;
  }
}

/** The service did not answer, or the answer broke off. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : 'the service does not answer', { cause });
  }
}

/** The bytes that arrived are not the bytes that were stored. */
export class DigestError extends Error {
  override readonly name = 'DigestError';
}

/** Reports whether asking again later may help. */
export function retryable(error: unknown): boolean {
  return error instanceof ConnectionError || (error instanceof ProblemError && error.retryable);
}

const maxProblemBytes = 64 << 10;

/** Makes the error of an answer that is not 2xx. What is no problem document, as a proxy's page, becomes one. */
export async function problemOf(response: Response): Promise<ProblemError> {
  const retryAfter = Number(response.headers.get('Retry-After')) || undefined;
  if (/^application\/(problem\+)?json\b/.test(response.headers.get('Content-Type') ?? '')) {
    try {
      const text = await response.text();
      const body: unknown = text.length <= maxProblemBytes ? JSON.parse(text) : null;
      if (isProblem(body)) {
        return new ProblemError({ ...body, status: response.status, ...(retryAfter ? { retryAfter } : {}) });
      }
    } catch {
      // Falls through to what the status alone tells.
    }
  }
  const passing = response.status === 408 || response.status === 429 || response.status >= 502;
  return new ProblemError({
    type: 'about:blank',
    status: response.status,
    code: passing ? 'unavailable' : response.status === 404 ? 'not-found' : 'internal',
    title: `The service answered ${response.status}.`,
    retryable: passing,
    ...(retryAfter ? { retryAfter } : {}),
  });
}

function isProblem(v: unknown): v is Problem {
  const p = v as Problem | null;
  return typeof p === 'object' && p !== null && typeof p.code === 'string' && typeof p.title === 'string' && typeof p.retryable === 'boolean';
}
