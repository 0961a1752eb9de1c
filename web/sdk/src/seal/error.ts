/**
 * `damaged`: it was changed or cut on its way, or is not what was asked for. `other-device`: it is sealed for another key than this
 * device's. `key-lost`: this device has no key any more. `insecure`: browsers encrypt only on pages over HTTPS. `no-key-store`: the
 * browser keeps no keys here, as in some private windows.
 */
export type SealFault = 'damaged' | 'other-device' | 'key-lost' | 'insecure' | 'no-key-store';

const words: Record<SealFault, string> = {
  damaged: 'what came is damaged, or is not what was asked for',
  'other-device': 'this is encrypted for another device',
  'key-lost': 'the key that opens this is gone from this device',
  insecure: 'encryption needs a page over HTTPS',
  'no-key-store': 'this browser keeps no keys here',
};

/** Something sealed cannot be opened, or nothing can be sealed for this device. Asking again does not help. */
export class SealError extends Error {
  override readonly name = 'SealError';
  readonly fault: SealFault;

  constructor(fault: SealFault, cause?: unknown) {
    super(words[fault], cause === undefined ? undefined : { cause });
    this.fault = fault;
  }
}
