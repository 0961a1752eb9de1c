import { licences } from './licences.en.js';
import type { ProblemWords, ReasonWords } from './shape.js';

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
    next: 'Check the symbols and try again.',
  },
  'pairing-used': {
    what: 'This code was already used.',
    why: 'Each code works once.',
    next: 'Ask for a new code at the scanner.',
  },
  'pairing-expired': {
    what: 'This code ran out.',
    why: 'Codes are valid for 2 minutes.',
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
  'encryption-required': {
    what: 'This scanner gives pages away only encrypted, and this page did not ask for that.',
    why: 'Browsers encrypt only at an https address, and not in every private window.',
    next: 'Open this page at its https address and scan there.',
  },
  'sealed-for-others': {
    what: 'These pages are encrypted for different devices, so none of them can open the file.',
    next: 'Save the pages of each device there, or all at the computer with the scanner.',
  },
  'road-not-open': {
    what: 'The direct connection to the scanner computer has ended.',
    next: 'Try again. Pages then come through the gateway.',
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
  'storage-failed': {
    what: 'The computer with the scanner cannot write its disk.',
    why: 'The disk is read-only, broken or gone, or the scan service may not write there any more.',
    next: 'Ask whoever looks after that computer to check its disk. What was scanned before is safe.',
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
  'sign-in-failed': {
    what: 'The sign-in did not work.',
    next: 'Begin again. What is said below may tell why.',
  },
  'flow-expired': {
    what: 'This sign-in took too long.',
    why: 'It was begun more than 10 minutes ago, or was finished before.',
    next: 'Begin again.',
  },
  'provider-failed': {
    what: 'The office’s sign-in service did not answer as it should.',
    next: 'Try again. If it stays, tell an administrator the code below.',
  },
  'user-locked': {
    what: 'This person is locked out.',
    why: 'An administrator has done that.',
    next: 'Ask an administrator.',
  },
  'device-grant-pending': {
    what: 'Nobody has allowed this program yet.',
    next: 'Open the address that the program shows, and allow it there.',
  },
  'device-grant-slow-down': {
    what: 'The program asks too often.',
    next: 'Wait a moment.',
  },
  'device-grant-denied': {
    what: 'The program was refused.',
    why: 'Somebody refused it, or its code ran out.',
    next: 'Let the program show a new code.',
  },
  'device-grant-wrong': {
    what: 'No program waits with this code.',
    why: 'The code may have run out.',
    next: 'Check the symbols, or let the program show a new code.',
  },
  'passkey-not-possible': {
    what: 'There are no passkeys at this address.',
    why: 'They need a name and an encrypted connection.',
    next: 'Open this page by its name, with https.',
  },
  'origin-fixed': {
    what: 'This web page cannot be withdrawn here.',
    why: 'It stands in the configuration, or in a licence.',
    next: 'Change it there.',
  },
  'ticket-invalid': {
    what: 'This link works no more.',
    why: 'It was used, ran out, or is for something else.',
    next: 'Open the document again.',
  },
  'last-administrator': {
    what: 'This is the last administrator.',
    why: 'Without one, nobody could manage this service.',
    next: 'Make somebody else an administrator first.',
  },
  'held-for-owner': {
    what: 'The scan waits for its owner at the scanner.',
    next: 'Scan the code at the scanner, or type the scan’s code there.',
  },
  'release-wrong': {
    what: 'No scan waits here for this code.',
    next: 'Check the digits, and that this is the right scanner.',
  },
  'node-waiting': {
    what: 'This scanner computer waits for approval.',
    next: 'Compare the four symbols and approve it at the gateway.',
  },
  'node-draining': {
    what: 'The computer with this scanner takes no new scans.',
    why: 'An administrator lets it finish its work.',
    next: 'Use another scanner, or try again later.',
  },
  'node-quarantined': {
    what: 'This scanner computer is set apart.',
    why: 'Its key was used by two computers.',
    next: 'Find out which one is the right one, then trust it again or block it.',
  },
  'check-wrong': {
    what: 'These are not the symbols that the gateway shows.',
    next: 'Compare both screens. If they differ, somebody may be between them: do not approve.',
  },
  'rotation-pending': {
    what: 'A change of key is under way.',
    next: 'Wait for its end, or drop it first.',
  },
  'audit-failed': {
    what: 'Nothing new can be begun.',
    why: 'The log of what was done cannot be written.',
    next: 'Tell an administrator to make room on that disk.',
  },
  'setup-off': {
    what: 'The setup page is switched off.',
    next: 'Set EnableWebSetup=TRUE in the configuration file.',
  },
  'setting-invalid': {
    what: 'A setting cannot have this value.',
    next: 'Change the value that is named below.',
  },
  'setting-fixed': {
    what: 'This setting cannot be changed here.',
    why: 'It is fixed where the service is started.',
    next: 'Change it there.',
  },
  'confirmation-needed': {
    what: 'This change lets more people in.',
    next: 'Look at what it does, then confirm it.',
  },
  'change-unknown': {
    what: 'This change is no longer there, or cannot be undone any more.',
    next: 'Look at the list of changes again.',
  },
  'change-on-trial': {
    what: 'Another change is being tried out.',
    next: 'Keep it, or wait until it goes back by itself.',
  },
  'certificate-invalid': {
    what: 'This certificate and key cannot be used.',
    next: 'What is said below tells why. Choose other files.',
  },
  ...licences,
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
    next: 'Scan the missing pages again.',
  },
  'short-page': {
    short: 'page too short',
    what: 'The scanner sent less of a page than it had announced. That page was not kept.',
    next: 'Scan that sheet again.',
  },
  'storage-failed': {
    short: 'page could not be stored',
    what: 'A page could not be stored: the computer with the scanner cannot write its disk.',
    next: 'Have that disk checked, put the last sheet and the rest back, and continue.',
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
  'held-for-owner': {
    short: 'waiting for its owner',
    what: 'The scan waits until its owner stands at the scanner.',
    next: 'Scan the code at the scanner, or type the scan’s code there.',
  },
  'license': {
    short: 'licence used up',
    what: 'The licence of this scan is used up or has ended.',
    next: 'All pages that were scanned can be saved. Ask an administrator before you scan the rest.',
  },
};
