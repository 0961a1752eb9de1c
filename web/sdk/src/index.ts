/**
 * Talks to a Platen node or gateway. No dependency at run time; works in browsers and in Node 20.
 *
 *     const platen = new PlatenClient({ base: 'https://scans.example', token });
 *     const { items: [scanner] } = await platen.scanners();
 *     const job = await platen.createJob(scanner.id, { settings: { source: 'adf' } });
 *     platen.followJob(job.id, { onPage: draw, onEnd: done });
 */
export { connect, Connection, type ConnectOptions, type ConnectState, type SignInWith } from './connect.js';
export { PlatenAdmin } from './admin.js';
export { PlatenLicences, type UsageOptions } from './licences.js';
export type { LicenseTerms } from './terms.js';
export { PlatenClient, collect, type ContentOptions, type CreateJobOptions, type ImportOptions, type IntentOptions, type JobListOptions, type PageURLOptions, type PlatenOptions } from './client.js';
export type { ClientOptions } from './http.js';
export { IndexedKeys, MemoryKeys, SealError, type KeyStore, type SealFault } from './seal.js';
export { PageRoads } from './roads.js';
export type { Direct, RoadKind, RoadOptions, RoadState, RoadTimes } from './road/road.js';
export { addressSpace, type AddressSpace } from './space.js';
export { ConnectionError, DigestError, ProblemError, retryable } from './problem.js';
export { EventStream, type EventStreamOptions } from './events.js';
export { JobFollower, type JobHandlers } from './follow.js';
export type { DownloadOptions, DownloadedPage } from './download.js';
export { SSEParser, type SSEMessage } from './sse.js';
export { sha256 } from './sha256.js';
export { uuid7 } from './id.js';
export * from './types.js';
