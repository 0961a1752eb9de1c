import { ProblemError } from './problem.js';

/** The licence that a page of another origin brings. One of the two, or neither: then that of the end's own platen.ini counts. */
export interface LicenseTerms {
  /** Product key, or several with semicolons. */
  productKey?: string;
  /** Organisation and code, by which the licence tracking server finds the licence: `CONTOSO-shop`. */
  handshakeCode?: string;
}

/** The terms without blanks and what is empty. Both together is an error before anything is sent. */
export function termsOf({ productKey, handshakeCode }: LicenseTerms): LicenseTerms {
  const key = productKey?.trim();
  const code = handshakeCode?.trim();
  if (key && code) {
    throw new ProblemError({
      type: 'urn:platen:problem:license-both',
      status: 422,
      code: 'license-both',
      title: 'A product key and a handshake code cannot be used together.',
      detail: 'This page sets both productKey and handshakeCode.',
      next: 'Set one of them.',
      retryable: false,
    });
  }
  return { ...(key ? { productKey: key } : {}), ...(code ? { handshakeCode: code } : {}) };
}

const stored = 'platen.client';
const form = /^[A-Za-z0-9_-]{16,64}$/;
let remembered: string | undefined;

/**
 * The random name of this browser for licences that count browsers: one an origin, kept until its user deletes the site's data. Where
 * nothing can be kept it lasts as long as the page.
 */
export function clientName(): string {
  const kept = read();
  if (kept !== undefined) return kept;
  remembered ??= btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16)))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  try {
    localStorage.setItem(stored, remembered);
  } catch {
    // Storage is switched off or full.
  }
  return remembered;
}

function read(): string | undefined {
  try {
    const name = localStorage.getItem(stored);
    return name !== null && form.test(name) ? name : undefined;
  } catch {
    return undefined;
  }
}
