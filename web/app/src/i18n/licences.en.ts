import type { ProblemWords } from './shape.js';

/** Problems of licences, of counted pages and of modules. */
export const licences: Record<string, ProblemWords> = {
  'license-missing': {
    what: 'This needs a licence, and none is set.',
    next: 'Tell an administrator the code below.',
  },
  'license-invalid': {
    what: 'The licence is not one that is taken here.',
    why: 'It was copied in part, or its vendor is not trusted here.',
    next: 'Tell an administrator the code below.',
  },
  'license-expired': {
    what: 'The licence has run out.',
    next: 'Let an administrator renew it. What was scanned is still there.',
  },
  'license-not-yet-valid': {
    what: 'The licence is not valid yet.',
    why: 'Its first day has not come, or a clock is wrong.',
    next: 'Wait for that day, or let an administrator check the clock.',
  },
  'license-elsewhere': {
    what: 'The licence belongs to another place.',
    why: 'It was made for another gateway or computer.',
    next: 'Let an administrator get one for this place.',
  },
  'license-origin': {
    what: 'The licence does not name this web page.',
    next: 'Let an administrator have the page’s address added to it.',
  },
  'license-both': {
    what: 'A product key and a handshake code are both set.',
    next: 'Let an administrator remove one of them.',
  },
  'license-revoked': {
    what: 'The licence was withdrawn or replaced.',
    next: 'Let an administrator set the newer one.',
  },
  'license-seats-taken': {
    what: 'All seats of the licence are taken.',
    next: 'Wait until one is free, or ask an administrator to free one.',
  },
  'license-pages-used': {
    what: 'The pages of the licence are used up.',
    next: 'Let an administrator get more. What was scanned is still there.',
  },
  'license-module': {
    what: 'The licence does not include this.',
    next: 'Let an administrator add it to the licence.',
  },
  'license-clock': {
    what: 'The clock of the computer went back.',
    why: 'Nobody can tell whether the licence is still valid.',
    next: 'Set the clock right and connect that computer to its network.',
  },
  'handshake-unknown': {
    what: 'Nobody knows this handshake code.',
    next: 'Check its spelling with an administrator.',
  },
  'tracking-offline': {
    what: 'The server that counts the licence does not answer.',
    why: 'The time that one can scan without it is over.',
    next: 'Try again later. What was scanned is still there.',
  },
  'receipt-missing': {
    what: 'The scanner computer did not account for this page.',
    next: 'Let an administrator look at that computer.',
  },
  'receipt-invalid': {
    what: 'The pages are not accounted for as they should be.',
    next: 'Let an administrator look at the scanner computer.',
  },
  'receipt-gap': {
    what: 'Pages are missing before these in the count.',
    next: 'Wait a moment. They are counted again by themselves.',
  },
  'item-exists': {
    what: 'This licence or handshake code is there already.',
    next: 'Change it, or take it away first.',
  },
  'module-missing': {
    what: 'The scanner computer lacks a program for this.',
    next: 'Let an administrator install what is named below.',
  },
  'module-failed': {
    what: 'This page could not be read.',
    next: 'Scan it again with a higher resolution.',
  },
  'file-damaged': {
    what: 'This file cannot be read.',
    why: 'It is damaged, or has a password.',
    next: 'Check that it opens in another program.',
  },
};
