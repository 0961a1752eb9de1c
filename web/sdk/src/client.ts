import { downloadPage, type DownloadOptions, type DownloadedPage } from './download.js';
import { EventStream, type EventStreamOptions } from './events.js';
import { JobFollower, type JobHandlers } from './follow.js';
import { Transport, type ClientOptions } from './http.js';
import { uuid7 } from './id.js';
import { ProblemError, retryable } from './problem.js';
import { path } from './path.js';
import { pause, waitFor } from './retry.js';
import { PageRoads } from './roads.js';
import { Sealing, type KeyStore, type Policy } from './seal.js';
import { termsOf } from './terms.js';
import type {
  Barcode, BarcodeFormat, Capabilities, ColorMode, ContentFormat, Document, DocumentEdit, DocumentList, DocumentRequest, Format, Job, JobList, JobRequest, JobState,
  List, ListOptions, ModuleState, Page, PageText, Scanner, ScannerList, Service, Session, SessionRequest, SignIn, SplitRequest, Status, Ticket,
} from './types.js';

export interface JobListOptions extends ListOptions {
  scanner?: string;
  state?: JobState;
}

export interface IntentOptions {
  /** The intent's key; default: a new one. Keep it to ask again later for the same job. */
  key?: string;
  /** How often a lost or passing failure is tried again. Default 4. */
  retries?: number;
  signal?: AbortSignal;
}

export interface CreateJobOptions extends IntentOptions {
  /**
   * Have the pages encrypted for this device where they pass a gateway. Default: as the scanner asks for. With `false` only if it
   * insists.
   */
  seal?: boolean;
}

export interface ImportOptions extends IntentOptions {
  /** The node that makes the pages. Needed at a gateway. */
  node?: string;
  /** In dpi, 50 to 600. Default 200. */
  resolution?: number;
  mode?: ColorMode;
  /** Of the new document. */
  name?: string;
  /** Add the pages to this document instead. */
  document?: string;
}

export interface ContentOptions {
  format?: ContentFormat;
  /** Module ocr: languages of the text, as `eng` or `deu+eng`. A PDF can be searched then; `txt` needs it. */
  ocr?: string;
}

export interface PlatenOptions extends ClientOptions {
  /** Keeps the key of this device. Default: IndexedDB in browsers, memory elsewhere. */
  keys?: KeyStore;
}

export interface PageURLOptions {
  format?: Format;
  /** Scale down to this many pixels. */
  width?: number;
  /** Offer the image for saving instead of showing it. */
  download?: boolean;
}

/** Scanners, jobs, pages and documents of a node or gateway. Methods throw ProblemError or ConnectionError. */
export class PlatenClient {
  readonly transport: Transport;
  /** How pages come from the nodes; undefined if `roads` was not asked for. */
  readonly roads: PageRoads | undefined;
  readonly #sealing: Sealing;
  /** What the scanners that were seen ask for. */
  readonly #policies = new Map<string, Policy>();
  readonly #nodes = new Map<string, string>();

  constructor(options: PlatenOptions = {}) {
    this.transport = new Transport(options);
    this.#sealing = new Sealing(options.keys, async (kind, id) => this.#nodes.get(id) ?? (await (kind === 'jobs' ? this.job(id) : this.document(id))).node);
    this.roads = options.roads ? new PageRoads(this.transport, options.roads === true ? {} : options.roads) : undefined;
  }

  /** The service's clock in milliseconds; count down to its deadlines with this one. */
  now(): number {
    return this.transport.now();
  }

  service(signal?: AbortSignal): Promise<Service> {
    return this.#get('/service', {}, signal);
  }

  // Sign-in.

  currentSession(signal?: AbortSignal): Promise<Session> {
    return this.#get('/sessions/current', {}, signal);
  }
  /** Redeems a pairing code or secret. Never repeated by itself: a code works once. */
  async createSession(request: SessionRequest): Promise<Session> {
    termsOf(request);
    return this.transport.json('POST', '/sessions', { body: request });
  }
  signOut(): Promise<void> {
    return this.transport.empty('DELETE', '/sessions/current');
  }
  sessions(list: ListOptions = {}): Promise<List<Session>> {
    return this.#get('/sessions', { ...list });
  }
  deleteSession(id: string): Promise<void> {
    return this.transport.empty('DELETE', path`/sessions/${id}`);
  }
  /** How one can sign in here, and whether this page's origin is allowed. */
  waysToSignIn(signal?: AbortSignal): Promise<SignIn> {
    return this.#get('/sign-in', {}, signal);
  }
  /**
   * Address that fetches one resource once, within a minute, without the token: for `<img>` and downloads of pages that sign in
   * with a token. `url` is what pageURL or documentContentURL gave.
   */
  async ticketURL(url: string): Promise<string> {
    const { pathname, search } = new URL(url, 'http://here');
    const ticket = await this.transport.json<Ticket>('POST', '/tickets', { body: { path: pathname + search } });
    return this.transport.absolute(ticket.url);
  }

  // Scanners.

  scanners(list: ListOptions = {}, signal?: AbortSignal): Promise<ScannerList> {
    return this.#get('/scanners', { ...list }, signal);
  }
  scanner(id: string, signal?: AbortSignal): Promise<Scanner> {
    return this.#get(path`/scanners/${id}`, {}, signal);
  }
  capabilities(id: string, signal?: AbortSignal): Promise<Capabilities> {
    return this.#get(path`/scanners/${id}/capabilities`, {}, signal);
  }
  status(id: string, signal?: AbortSignal): Promise<Status> {
    return this.#get(path`/scanners/${id}/status`, {}, signal);
  }
  /** Releases a job that waits for its owner, by the code that the owner types at the scanner. */
  releaseAtScanner(id: string, code: string): Promise<void> {
    return this.transport.empty('POST', path`/scanners/${id}/release`, { body: { code } });
  }

  // Jobs.

  /**
   * Scans. The request carries an Idempotency-Key, so trying again after a lost answer finds the
   * same job instead of starting a second one. Where the scanner asks for it, it names this device as the only one that can open the
   * pages behind a gateway; where that is required and not possible here, it throws a SealError and sends nothing.
   */
  async createJob(scanner: string, request: JobRequest, options: CreateJobOptions = {}): Promise<Job> {
    return this.#intend(options, async (headers) => {
      for (;;) {
        try {
          return await this.transport.json<Job>('POST', path`/scanners/${scanner}/jobs`, { headers, body: await this.#withRecipient(scanner, request, options), signal: options.signal });
        } catch (error) {
          if ((error as { code?: string }).code !== 'encryption-required' || this.#policies.get(scanner) === 'required') throw error;
          this.#policies.set(scanner, 'required'); // since it was seen
        }
      }
    });
  }
  jobs(list: JobListOptions = {}, signal?: AbortSignal): Promise<JobList> {
    return this.#get('/jobs', { ...list }, signal);
  }
  job(id: string, signal?: AbortSignal): Promise<Job> {
    return this.#get(path`/jobs/${id}`, {}, signal);
  }
  /** Stops now; the page under way is discarded. */
  cancelJob(id: string): Promise<Job> {
    return this.transport.json('POST', path`/jobs/${id}/cancel`);
  }
  /** Goes on after a jam, an empty feeder, a restart, or with the next sheet on the glass. */
  resumeJob(id: string): Promise<Job> {
    return this.transport.json('POST', path`/jobs/${id}/resume`);
  }
  /** No further sheet; the page under way is still finished and kept. */
  finishJob(id: string): Promise<Job> {
    return this.transport.json('POST', path`/jobs/${id}/finish`);
  }
  /** Releases one's own held job; `presence` is what the code at the scanner says. Operators need none. */
  releaseJob(id: string, presence?: string): Promise<Job> {
    return this.transport.json('POST', path`/jobs/${id}/release`, { body: presence ? { presence } : {} });
  }
  deleteJob(id: string): Promise<void> {
    return this.transport.empty('DELETE', path`/jobs/${id}`);
  }

  // Pages.

  pages(job: string, list: ListOptions = {}, signal?: AbortSignal): Promise<List<Page>> {
    return this.#get(path`/jobs/${job}/pages`, { ...list }, signal);
  }
  /** All pages of a job, the growing one included. */
  async allPages(job: string, signal?: AbortSignal): Promise<Page[]> {
    return collect((list) => this.pages(job, { limit: 200, ...list }, signal));
  }
  /** Address of a page's image, for `<img>` and links. It works where the session is a cookie. */
  pageURL(job: string, n: number, options: PageURLOptions = {}): string {
    return this.transport.url(path`/jobs/${job}/pages/${n}`, { ...options });
  }
  /** Fetches a page, also while it grows: resumes where the connection broke, and checks the digest. */
  downloadPage(job: string, n: number, options: DownloadOptions = {}): Promise<DownloadedPage> {
    return downloadPage(this.transport, path`/jobs/${job}/pages/${n}`, options, {
      via: () => this.roads?.via('jobs', job),
      opening: (response) => this.#sealing.opening(response, { kind: 'page', job, n, format: options.format, width: options.width }),
    });
  }
  /** Whether this device can open the pages of a job that come by way of a gateway. `<img>` cannot, if they have a recipient: use pageImage. */
  openable(job: Job): Promise<boolean> {
    return this.#sealing.openable(job);
  }
  /** The image of a page, for `URL.createObjectURL`: as downloadPage has it. */
  async pageImage(job: string, n: number, options: DownloadOptions = {}): Promise<Blob> {
    const { bytes, type } = await this.downloadPage(job, n, options);
    return new Blob([bytes], { type });
  }
  /** Says that the page has arrived, so that the node may free it. */
  ackPage(job: string, n: number, digest: string): Promise<void> {
    return this.transport.empty('POST', path`/jobs/${job}/pages/${n}/ack`, { body: { digest } });
  }

  // Documents.

  documents(list: ListOptions = {}, signal?: AbortSignal): Promise<DocumentList> {
    return this.#get('/documents', { ...list }, signal);
  }
  document(id: string, signal?: AbortSignal): Promise<Document> {
    return this.#get(path`/documents/${id}`, {}, signal);
  }
  createDocument(request: DocumentRequest): Promise<Document> {
    return this.transport.json('POST', '/documents', { body: request });
  }
  editDocument(id: string, edit: DocumentEdit): Promise<Document> {
    return this.transport.json('PATCH', path`/documents/${id}`, { body: edit });
  }
  deleteDocument(id: string): Promise<void> {
    return this.transport.empty('DELETE', path`/documents/${id}`);
  }
  /** Address of the document as one file. */
  documentContentURL(id: string, options: ContentOptions & { download?: boolean } = {}): string {
    return this.transport.url(path`/documents/${id}/content`, { ...options });
  }
  /** The document as one file, as a response whose body streams. What comes sealed is opened; a body that was cut fails. */
  async documentContent(id: string, wanted: ContentFormat | ContentOptions = 'pdf', signal?: AbortSignal): Promise<Response> {
    const { format = 'pdf', ocr } = typeof wanted === 'string' ? { format: wanted } : wanted;
    const response = await this.transport.send('GET', path`/documents/${id}/content`, { query: { format, ocr }, signal, via: this.roads?.via('documents', id) });
    return this.#sealing.open(response, { kind: 'document', document: id, format });
  }

  // Modules. Each needs to be installed at the node, and a licence where licences are asked for; calls without throw module-missing and license-….

  /** What a node can do beyond scanning; at a gateway `node` says which. */
  async modules(node?: string, signal?: AbortSignal): Promise<ModuleState[]> {
    return (await this.#get<{ items: ModuleState[] }>('/modules', { node }, signal)).items;
  }
  /** Module barcode: what is read on a page, from top to bottom. */
  async pageBarcodes(job: string, n: number, options: { format?: BarcodeFormat; signal?: AbortSignal } = {}): Promise<Barcode[]> {
    return (await this.#get<{ items: Barcode[] }>(path`/jobs/${job}/pages/${n}/barcodes`, { format: options.format }, options.signal)).items;
  }
  /** Module ocr: text and words on a page. The first reading takes seconds. `language` is as `eng` or `deu+eng`; default `eng`. */
  pageText(job: string, n: number, options: { language?: string; signal?: AbortSignal } = {}): Promise<PageText> {
    return this.#get(path`/jobs/${job}/pages/${n}/text`, { language: options.language }, options.signal);
  }
  /** Module barcode: cuts a document at its separator sheets. The first of the documents keeps the identifier. */
  async splitDocument(id: string, request: SplitRequest = {}): Promise<Document[]> {
    const list = await this.transport.json<DocumentList>('POST', path`/documents/${id}/split`, { body: request });
    this.#learn(list);
    return list.items;
  }
  /**
   * Module pdf-rasterizer: makes pages of a PDF of at most 64 MiB. The job has no scanner; it is followed, canceled and acknowledged
   * like a scan. The request carries an Idempotency-Key, as createJob's.
   */
  async importPDF(file: Blob, options: ImportOptions = {}): Promise<Job> {
    if (file.size > maxImport) {
      throw new ProblemError({
        type: 'urn:platen:problem:body-too-large', status: 413, code: 'body-too-large', title: 'The request body is too large.',
        detail: `The file has ${file.size} bytes, the most are ${maxImport}.`, next: 'Take a smaller file.', retryable: false,
      });
    }
    const { node, resolution, mode, name, document } = options;
    const body = file.type === pdfType ? file : file.slice(0, file.size, pdfType);
    return this.#intend(options, (headers) => this.transport.json('POST', '/imports', { query: { node, resolution, mode, name, document }, headers, body, signal: options.signal }));
  }

  // Events.

  /** Follows everything that the caller may see; at a gateway, nodes and scanners only. */
  events(options: EventStreamOptions): EventStream {
    return new EventStream(this.transport, '/events', options);
  }
  /** Follows the bare events of one job; see followJob for its true state. */
  jobEvents(job: string, options: EventStreamOptions): EventStream {
    return new EventStream(this.transport, path`/jobs/${job}/events`, options);
  }
  /** Follows a job and its pages to the end, over every outage. */
  followJob(job: string, handlers: JobHandlers): JobFollower {
    return new JobFollower(this, job, handlers);
  }

  async #get<T>(p: string, query: Record<string, string | number | undefined> = {}, signal?: AbortSignal): Promise<T> {
    const answer = await this.transport.json<T>('GET', p, { query, signal });
    this.#learn(answer);
    return answer;
  }

  /** Asks for one job under one key, again after a lost or passing failure. */
  async #intend(options: IntentOptions, ask: (headers: Record<string, string>) => Promise<Job>): Promise<Job> {
    const headers = { 'Idempotency-Key': options.key ?? uuid7() };
    const retries = options.retries ?? 4;
    for (let attempt = 1; ; attempt++) {
      try {
        const job = await ask(headers);
        this.#learn(job);
        return job;
      } catch (error) {
        if (attempt > retries || !passing(error)) throw error;
        await pause(waitFor(error, attempt), options.signal);
      }
    }
  }

  /** Notes what an answer tells of scanners, jobs and documents. */
  #learn(answer: unknown): void {
    this.roads?.learn(answer);
    const { items } = (answer ?? {}) as { items?: unknown };
    for (const item of Array.isArray(items) ? (items as unknown[]) : [answer]) {
      const { id, node, status, encryption } = (item ?? {}) as Partial<Scanner>;
      if (typeof id !== 'string' || typeof node !== 'string') continue;
      if (status) remember(this.#policies, id, encryption);
      else remember(this.#nodes, id, node);
    }
  }

  async #withRecipient(scanner: string, request: JobRequest, options: CreateJobOptions): Promise<JobRequest> {
    if (request.recipient) return request;
    if (!options.seal && !this.#policies.has(scanner)) remember(this.#policies, scanner, (await this.scanner(scanner, options.signal)).encryption);
    const recipient = await this.#sealing.recipient(this.#policies.get(scanner), options.seal);
    return recipient === undefined ? request : { ...request, recipient };
  }
}

const maxKnown = 4096;
const maxImport = 64 << 20; // bytes
const pdfType = 'application/pdf';

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > maxKnown && oldest !== undefined) map.delete(oldest);
}

/** Walks a list to its end. A list that never ends, or repeats a cursor, is cut. */
export async function collect<T>(list: (options: { cursor?: string }) => Promise<List<T>>): Promise<T[]> {
  const items: T[] = [];
  const seen = new Set<string>();
  for (let cursor: string | undefined; ; ) {
    const part = await list(cursor === undefined ? {} : { cursor });
    items.push(...part.items);
    cursor = part.next;
    if (!cursor || seen.has(cursor)) return items;
    seen.add(cursor);
  }
}

/** A failure that repeats the request by itself. A full queue or an absent scanner is for a person to decide. */
function passing(error: unknown): boolean {
  if (!retryable(error)) return false;
  const code = (error as { code?: string }).code;
  return code === undefined || code === 'unavailable' || code === 'too-many-requests' || code === 'idempotency-in-progress' || code === 'grant-expired';
}
