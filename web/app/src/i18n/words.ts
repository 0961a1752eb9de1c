import { ConnectionError, ProblemError, SealError } from '@platen/sdk';
import { language, t, type Language } from './index.js';
import type { ProblemWords, ReasonWords } from './shape.js';
import * as de from './words.de.js';
import * as en from './words.en.js';

const words: Record<Language, typeof en> = { en, de };

export interface Explained extends ProblemWords {
  /** Small, for support. */
  code: string | undefined;
  /** The service's own sentence where it says more, in English. */
  detail: string | undefined;
  /** The detail is a part of the message: which licence, at which end. */
  detailed: boolean;
  retryable: boolean;
}

/** Says an error in words. A code of a later version is said with the service's own words. */
export function explain(error: unknown): Explained {
  if (error instanceof ProblemError) {
    const known = words[language.get()].problems[error.code];
    return {
      ...(known ?? { what: error.title, next: error.next ?? t('again') }),
      code: error.code,
      detail: error.detail,
      detailed: /^(license|handshake|tracking|receipt|module|item)-/.test(error.code),
      retryable: error.retryable,
    };
  }
  if (error instanceof ConnectionError) {
    const what = navigator.onLine ? t('error.connection') : t('offline.device');
    return { what, next: t('error.connection.next'), code: undefined, detail: undefined, detailed: false, retryable: true };
  }
  if (error instanceof SealError) {
    const what = error.fault === 'damaged' ? 'sealed.damaged' : error.fault === 'insecure' || error.fault === 'no-key-store' ? 'sealed.no-store' : 'sealed.no-key';
    return { what: t(what), next: t(`${what}.next`), code: undefined, detail: undefined, detailed: false, retryable: false };
  }
  return { what: t('error.unknown'), next: t('error.unknown.next'), code: undefined, detail: undefined, detailed: false, retryable: false };
}

/** An error in one line: what happened, for licences which one and where, and what to do. */
export function sentence(error: unknown): string {
  const { what, detail, detailed, next } = explain(error);
  return [what, detailed && detail, next].filter(Boolean).join(' ');
}

/** Says a reason in words. `partial-…` is said as what follows; an unknown one as it is. */
export function reason(keyword: string): ReasonWords {
  const bare = keyword.replace(/^partial-/, '');
  return words[language.get()].reasons[bare] ?? { short: bare, what: bare, next: '' };
}
