/** The contract's types under short names, and the events, which the contract describes in words. */
import type { components } from './api.gen.js';

type Schemas = components['schemas'];

export type Service = Schemas['Service'];
export type Role = Schemas['Role'];
export type Pairing = Schemas['Pairing'];
export type PairingRequest = Schemas['PairingRequest'];
export type Session = Schemas['Session'];
export type SessionRequest = Schemas['SessionRequest'];
export type SignIn = Schemas['SignIn'];
export type OIDCStart = Schemas['OIDCStart'];
export type PasskeyChallenge = Schemas['PasskeyChallenge'];
export type Passkey = Schemas['Passkey'];
export type PasskeyRequest = Schemas['PasskeyRequest'];
export type DeviceGrant = Schemas['DeviceGrant'];
export type Token = Schemas['Token'];
export type TokenRequest = Schemas['TokenRequest'];
export type User = Schemas['User'];
export type UserRequest = Schemas['UserRequest'];
export type UserEdit = Schemas['UserEdit'];
export type Action = Schemas['Action'];
export type Permission = Schemas['Permission'];
export type PermissionRequest = Schemas['PermissionRequest'];
export type AllowedOrigin = Schemas['AllowedOrigin'];
export type Ticket = Schemas['Ticket'];
export type Source = Schemas['Source'];
export type ColorMode = Schemas['ColorMode'];
export type Format = Schemas['Format'];
export type Reason = Schemas['Reason'];
export type Region = Schemas['Region'];
export type Settings = Schemas['Settings'];
export type Capabilities = Schemas['Capabilities'];
export type SourceCapabilities = Schemas['SourceCapabilities'];
export type DeviceOption = Schemas['Option'];
export type Status = Schemas['Status'];
export type Scanner = Schemas['Scanner'];
export type ScannerList = Schemas['ScannerList'];
export type ScannerEdit = Schemas['ScannerEdit'];
export type Sticker = Schemas['Sticker'];
export type Job = Schemas['Job'];
export type JobState = Schemas['JobState'];
export type JobRequest = Schemas['JobRequest'];
export type JobList = Schemas['JobList'];
export type Page = Schemas['Page'];
export type PageAck = Schemas['PageAck'];
export type Document = Schemas['Document'];
export type DocumentPage = Schemas['DocumentPage'];
export type DocumentList = Schemas['DocumentList'];
export type DocumentRequest = Schemas['DocumentRequest'];
export type DocumentEdit = Schemas['DocumentEdit'];
export type ContentFormat = 'pdf' | 'tiff' | 'zip' | 'txt';
export type Node = Schemas['Node'];
export type NodeEdit = Schemas['NodeEdit'];
export type JoinToken = Schemas['JoinToken'];
export type JoinTokenRequest = Schemas['JoinTokenRequest'];
export type Problem = Schemas['Problem'];
export type LicenseMode = Schemas['LicenseMode'];
export type LicenseKind = Schemas['LicenseKind'];
export type License = Schemas['License'];
export type LicenseKey = Schemas['LicenseKey'];
export type SessionLicense = Schemas['SessionLicense'];
export type LicenseItem = Schemas['Item'];
export type Seat = Schemas['Seat'];
export type Project = Schemas['Project'];
export type ProjectRequest = Schemas['ProjectRequest'];
export type ProjectEdit = Schemas['ProjectEdit'];
export type UsageRow = Schemas['UsageRow'];
export type Alert = Schemas['Alert'];
export type AlertSent = Schemas['AlertSent'];
export type AlertSettings = Schemas['AlertSettings'];
export type Alerts = Schemas['Alerts'];
export type ModuleName = Schemas['Module'];
export type ModuleState = Schemas['ModuleState'];
export type Barcode = Schemas['Barcode'];
export type BarcodeFormat = Schemas['BarcodeFormat'];
export type SplitRequest = Schemas['SplitRequest'];
export type PageText = Schemas['PageText'];
export type Word = Schemas['Word'];

/** One page of a list. `next` is the cursor of the following page. */
export interface List<T> {
  items: T[];
  next?: string;
}

export interface ListOptions {
  /** 1 to 200; the service's default is 50. */
  limit?: number;
  cursor?: string;
}

/** What an event tells; `scan.EventType` in the Go code. */
export const eventTypes = [
  'job-state',
  'page-started',
  'page-progress',
  'page-committed',
  'page-failed',
  'device-state',
  'device-gone',
  'document',
  'node-state',
] as const;

export type EventType = (typeof eventTypes)[number];

/** One message of an event stream. `id` is `<epoch>.<seq>`. */
export interface PlatenEvent {
  id: string;
  type: EventType;
  job?: Job;
  page?: Page;
  scanner?: Scanner;
  document?: Document;
  node?: Node;
}

/** Reports whether a job in this state has ended for good. */
export function ended(state: JobState): boolean {
  return state === 'canceled' || state === 'aborted' || state === 'completed';
}

/**
 * Why a completed job has fewer pages than were meant: `license` if its licence ended or was used up, `jam`, `timed-out` and
 * others; undefined if it has all of them. What was scanned is there to be fetched whatever the reason.
 */
export function partialReason(job: Job): Reason | undefined {
  return job.reasons?.find((r) => r.startsWith(partial))?.slice(partial.length);
}

const partial = 'partial-';

export type AuditRecord = Schemas['AuditRecord'];
export type AuditList = Schemas['AuditList'];
export type Certificate = Schemas['Certificate'];
export type Setup = Schemas['Setup'];
export type SetupSetting = Schemas['SetupSetting'];
export type SetupRequest = Schemas['SetupRequest'];
export type SetupChange = Schemas['SetupChange'];
export type SetupChangeList = Schemas['SetupChangeList'];
export type SetupEffect = Schemas['SetupEffect'];
export type SetupWarning = Schemas['SetupWarning'];
export type SetupShared = Schemas['SetupShared'];
export type SetupFound = Schemas['SetupFound'];
