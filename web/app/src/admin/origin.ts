import { addressSpace } from '@platen/sdk';

export interface Judged {
  verdict: 'good' | 'malformed' | 'own';
  /** Not encrypted: what lies between can change that page. */
  plain: boolean;
}

/** Judges an origin that somebody typed or a page asked with. It must be exactly what browsers send. */
export function judgeOrigin(text: string, own: string = location.origin): Judged {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return { verdict: 'malformed', plain: false };
  }
  if (!/^https?:$/.test(url.protocol) || url.origin !== text || !/^[a-z0-9._:[\]-]+$/.test(url.hostname)) return { verdict: 'malformed', plain: false };
  return { verdict: text === own ? 'own' : 'good', plain: url.protocol === 'http:' && addressSpace(url.hostname) !== 'loopback' };
}
