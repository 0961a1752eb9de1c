import type { ProblemWords, ReasonWords } from './words.js';

/** What each problem code of proto/problem/codes.go means to a person. */
export const problems: Record<string, ProblemWords> = {
  'internal': {
    what: 'Something went wrong on the scanner computer.',
    next: 'Try again. If it stays, tell an administrator the code below.',
  },
  'unavailable': {
    what: 'The scan service is not ready.',
    why: 'It is starting, stopping or busy.',
    next: 'Try again in a moment.',
  },
  'bad-request': {
    what: 'This page sent something that the scan service does not understand.',
    why: 'The page may be of an older version.',
    next: 'Load the page again.',
  },
  'invalid-json': {
    what: 'This page sent something that the scan service does not understand.',
    why: 'The page may be of an older version.',
    next: 'Load the page again.',
  },
  'unknown-field': {
    what: 'The scan service does not know one of the settings.',
    why: 'This page is newer than the service, or older.',
    next: 'Load the page again.',
  },
  'body-too-large': {
    what: 'That is too much at once.',
    next: 'Choose fewer pages and try again.',
  },
  'media-type-wrong': {
    what: 'This page sent something in the wrong form.',
    why: 'The page may be of an older version.',
    next: 'Load the page again.',
  },
  'not-found': {
    what: 'This is no longer there.',
    why: 'It was deleted, or its time was up.',
    next: 'Go back and choose again.',
  },
  'method-not-allowed': {
    what: 'The scan service cannot do that.',
    why: 'This page is newer than the service, or older.',
    next: 'Load the page again.',
  },
  'too-many-requests': {
    what: 'That was too much in a short time.',
    next: 'Wait a moment and try again.',
  },
  'bad-id': {
    what: 'This address is not complete.',
    why: 'A part of it was lost, maybe while copying.',
    next: 'Go back and choose again.',
  },
  'host-not-allowed': {
    what: 'The scan service is not known under this address.',
    next: 'Open the address that is printed beside the code.',
  },
  'origin-not-allowed': {
    what: 'This web page may not use the scanners.',
    why: 'Nobody has allowed it yet.',
    next: 'Ask the person who runs the scan service.',
  },
  'cross-site': {
    what: 'The request came from another web site.',
    next: 'Open the page of the scan service itself.',
  },
  'session-required': {
    what: 'This device is not connected yet.',
    next: 'Scan the code at the scanner, or type it.',
  },
  'session-expired': {
    what: 'The sign-in has ended.',
    why: 'It was not used for a while, or somebody ended it.',
    next: 'Scan the code again. Open documents are kept.',
  },
  'permission-denied': {
    what: 'You may not do this here.',
    why: 'It needs another role.',
    next: 'Ask an administrator.',
  },
  'plain-http-refused': {
    what: 'Nobody can sign in at this address.',
    why: 'It is not encrypted.',
    next: 'Open the address that begins with https.',
  },
  'pairing-wrong': {
    what: 'This code is not right.',
    next: 'Check the digits and try again.',
  },
  'pairing-used': {
    what: 'This code was already used.',
    why: 'Each code works once.',
    next: 'Ask for a new code at the scanner.',
  },
  'pairing-expired': {
    what: 'This code ran out.',
    why: 'Codes are valid for 3 minutes.',
    next: 'Ask for a new code at the scanner.',
  },
  'pairing-too-many-tries': {
    what: 'Too many wrong tries.',
    why: 'All codes that were on show are void now.',
    next: 'Ask for a new code at the scanner.',
  },
  'grant-required': {
    what: 'The scanner computer refused the gateway.',
    why: 'The gateway is of an older version.',
    next: 'Tell an administrator to update the gateway.',
  },
  'grant-invalid': {
    what: 'The scanner computer refused the gateway.',
    why: 'The permission that the gateway gave does not cover this.',
    next: 'Tell an administrator the code below.',
  },
  'grant-expired': {
    what: 'The permission of the gateway ran out on the way.',
    why: 'The clocks of the two computers may differ.',
    next: 'Try again.',
  },
  'join-token-invalid': {
    what: 'This token is not right.',
    next: 'Copy the whole token from the gateway.',
  },
  'join-token-used': {
    what: 'This token was already used.',
    why: 'Each token works once.',
    next: 'Make a new one.',
  },
  'join-token-expired': {
    what: 'This token ran out.',
    why: 'Tokens are valid for 10 minutes.',
    next: 'Make a new one.',
  },
  'node-unknown': {
    what: 'The gateway does not know this scanner computer.',
    next: 'Add it again under Scanner computers.',
  },
  'node-revoked': {
    what: 'This scanner computer is blocked.',
    why: 'An administrator has blocked it.',
    next: 'Ask the administrator of the gateway.',
  },
  'node-prefix-taken': {
    what: 'Another scanner computer already has this identity.',
    why: 'Two computers may have been set up from one copy.',
    next: 'Give this computer a new identity and add it again.',
  },
  'version-not-spoken': {
    what: 'The gateway and the scanner computer do not understand each other.',
    why: 'Their versions are too far apart.',
    next: 'Update the older one.',
  },
  'gateway-key-changed': {
    what: 'The gateway is not the one that this computer joined.',
    why: 'Its key has changed.',
    next: 'If the gateway was set up anew, add this computer again.',
  },
  'settings-unsupported': {
    what: 'The scanner cannot scan with these settings.',
    next: 'Change the setting and try again.',
  },
  'idempotency-key-missing': {
    what: 'This page sent an incomplete request.',
    why: 'The page may be of an older version.',
    next: 'Load the page again.',
  },
  'idempotency-key-reused': {
    what: 'This page sent one request twice with different content.',
    why: 'The page may be of an older version.',
    next: 'Load the page again.',
  },
  'idempotency-in-progress': {
    what: 'Your scan is already being started.',
    next: 'Wait a moment.',
  },
  'job-wrong-state': {
    what: 'The scan has moved on in the meantime.',
    next: 'Look at its present state.',
  },
  'queue-full': {
    what: 'Too many scans are waiting for this scanner.',
    next: 'Try again later, or choose another scanner.',
  },
  'scanner-offline': {
    what: 'The scanner does not answer.',
    why: 'It may be off, asleep or unplugged.',
    next: 'Check that it is switched on and connected.',
  },
  'driver-failed': {
    what: 'The scanner’s software stopped and was started again.',
    next: 'Try again.',
  },
  'driver-missing': {
    what: 'The software for this scanner is not installed.',
    next: 'Tell an administrator the code below.',
  },
  'node-offline': {
    what: 'The computer with this scanner is not connected.',
    why: 'It may be off, asleep or without a network.',
    next: 'Switch it on. Its pages are safe there.',
  },
  'node-needed': {
    what: 'It is not clear which scanner computer is meant.',
    why: 'The page may be of an older version.',
    next: 'Load the page again.',
  },
  'disk-low': {
    what: 'The computer with the scanner has no room for another page.',
    next: 'Save and delete scans, or free some space there.',
  },
  'page-gone': {
    what: 'This page was deleted.',
    why: 'It was delivered, or its time was up.',
    next: 'Scan it again.',
  },
  'page-lost': {
    what: 'This page is damaged or gone.',
    why: 'The disk of the scanner computer lost it.',
    next: 'Scan it again.',
  },
  'page-not-ready': {
    what: 'This page is still being scanned.',
    next: 'Wait until it is finished.',
  },
  'digest-mismatch': {
    what: 'The page did not arrive unchanged.',
    why: 'The connection damaged it.',
    next: 'Load the page again.',
  },
  'format-unsupported': {
    what: 'This cannot be had in that format.',
    next: 'Choose another format.',
  },
  'range-not-satisfiable': {
    what: 'The page is shorter than expected.',
    why: 'It was scanned again in the meantime.',
    next: 'Load the page again.',
  },
  'revision-conflict': {
    what: 'The document was changed on another device.',
    next: 'Look at it and repeat the change.',
  },
  'pages-elsewhere': {
    what: 'These pages are on different scanner computers.',
    why: 'One document can only hold the pages of one.',
    next: 'Save them as two documents.',
  },
  'events-gone': {
    what: 'Too much happened while this page was away.',
    next: 'Load the page again.',
  },
};

/** What each reason of proto/scan/reason.go means to a person. */
export const reasons: Record<string, ReasonWords> = {
  'feeder-empty': {
    short: 'feeder empty',
    what: 'The feeder is empty.',
    next: 'Put paper in.',
  },
  'jam': {
    short: 'paper jam',
    what: 'Paper jam.',
    next: 'Open the cover, pull the sheet out, and put that sheet and the rest back into the feeder.',
  },
  'cover-open': {
    short: 'cover open',
    what: 'The cover is open.',
    next: 'Close the cover.',
  },
  'next-sheet': {
    short: 'waiting for the next sheet',
    what: 'Ready for the next sheet.',
    next: 'Put the next sheet on the glass.',
  },
  'disk-low': {
    short: 'no room for more pages',
    what: 'The computer with the scanner has no room for another page.',
    next: 'Save and delete scans, or free some space there.',
  },
  'offline': {
    short: 'scanner does not answer',
    what: 'The scanner does not answer.',
    next: 'Check that it is switched on and its cable or Wi-Fi works.',
  },
  'interrupted': {
    short: 'interrupted',
    what: 'The scanner computer was restarted in the middle of the scan.',
    next: 'Put the sheets that are missing back into the scanner.',
  },
  'busy-elsewhere': {
    short: 'in use by another program',
    what: 'Another program is using the scanner.',
    next: 'End the scan there, then continue.',
  },
  'warming-up': {
    short: 'warming up',
    what: 'The scanner is warming up.',
    next: 'Wait a moment.',
  },
  'canceled-by-user': {
    short: 'canceled',
    what: 'The scan was canceled.',
    next: 'Start a new scan when you are ready.',
  },
  'finished-by-user': {
    short: 'finished early',
    what: 'The scan was stopped by hand.',
    next: 'Add pages if some are missing.',
  },
  'device-error': {
    short: 'scanner fault',
    what: 'The scanner reported a fault.',
    next: 'Switch it off and on, then try again.',
  },
  'driver-failed': {
    short: 'scanner software stopped',
    what: 'The scanner’s software stopped and was started again.',
    next: 'Try again.',
  },
  'short-page': {
    short: 'page too short',
    what: 'The scanner sent less of a page than it had announced. That page was not kept.',
    next: 'Scan that sheet again.',
  },
  'storage-failed': {
    short: 'page could not be stored',
    what: 'A page could not be stored on the scanner computer.',
    next: 'Tell an administrator to check its disk.',
  },
  'timed-out': {
    short: 'nobody answered',
    what: 'The scanner waited for an answer, and none came in time.',
    next: 'Add the missing pages.',
  },
  'access-denied': {
    short: 'no access to the scanner',
    what: 'The scan service may not use this scanner.',
    next: 'Tell an administrator: the system refuses the device to the service.',
  },
  'unsupported': {
    short: 'settings not possible',
    what: 'The scanner refused these settings.',
    next: 'Change the settings and try again.',
  },
  'pages-lost': {
    short: 'pages lost',
    what: 'Some stored pages are damaged or gone.',
    next: 'Scan those sheets again.',
  },
};
