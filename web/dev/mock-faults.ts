import type { Role } from '@platen/sdk';
import type { Refusal } from './mock-modules.js';

/** What can go wrong, set by POST /mock with any of these. */
export interface Faults {
  feeder: 'loaded' | 'empty' | 'unknown';
  sheets: number;
  /** Stop before this page with this reason, once. */
  stop: { page: number; reason: string } | null;
  /** Cut the stream of this growing page, once. */
  cut: number;
  /** Answer nothing, as if the service were gone. */
  down: boolean;
  /** Answer every API request with this problem code. */
  problem: { code: string; status: number } | null;
  scanners: 'three' | 'one' | 'none' | 'looking' | 'offline';
  unknownHeight: boolean;
  nodes: 'some' | 'none';
  /** The role of whoever is signed in, and whether they are a person with a name. */
  role: Role | null;
  named: boolean;
  /** Jobs wait until their owner stands at the scanner. */
  hold: boolean;
  /** What the scanners ask of browsers. */
  encryption: 'preferred' | 'required' | null;
  /** Jobs are sealed for a browser that is not there. */
  stranger: boolean;
  /** Sealed answers are changed on their way. */
  tamper: boolean;
  /** The licence lasts for so many pages of a job. */
  licensedPages: number | null;
  /** A job is refused with this code and detail. */
  refuse: Refusal | null;
}
