import type { PlatenClient } from './client.js';
import type { Query, Transport } from './http.js';
import { path } from './path.js';
import type {
  AlertSent, AlertSettings, Alerts, License, LicenseItem, List, ListOptions, Project, ProjectEdit, ProjectRequest, Seat, UsageRow,
} from './types.js';

export interface UsageOptions {
  /** First and last day, as `2026-11-22`, in UTC. */
  from?: string;
  to?: string;
  /** Length of the periods. Default: `month`. */
  by?: 'day' | 'month' | 'year';
  /** Of one licence alone. */
  item?: string;
}

/** What an end is licensed for, and the licence tracking server: for the service's own pages and programs, like PlatenAdmin. */
export class PlatenLicences {
  readonly #transport: Transport;

  constructor(client: PlatenClient) {
    this.#transport = client.transport;
  }

  /** What this end is licensed for. */
  license(signal?: AbortSignal): Promise<License> {
    return this.#get('/license', {}, signal);
  }

  // Keys that are handed out.

  items(list: ListOptions = {}, signal?: AbortSignal): Promise<List<LicenseItem>> {
    return this.#get('/license/items', { ...list }, signal);
  }
  item(id: string, signal?: AbortSignal): Promise<LicenseItem> {
    return this.#get(path`/license/items/${id}`, {}, signal);
  }
  /** One key. A higher revision takes the place of the same licence. */
  addItem(key: string): Promise<LicenseItem> {
    return this.#transport.json('POST', '/license/items', { body: { key } });
  }
  suspendItem(id: string, suspended: boolean): Promise<LicenseItem> {
    return this.#transport.json('PATCH', path`/license/items/${id}`, { body: { suspended } });
  }
  /** What was used of it stays in the ledger. */
  removeItem(id: string): Promise<void> {
    return this.#transport.empty('DELETE', path`/license/items/${id}`);
  }
  seats(item: string, list: ListOptions = {}, signal?: AbortSignal): Promise<List<Seat>> {
    return this.#get(path`/license/items/${item}/seats`, { ...list }, signal);
  }
  releaseSeat(item: string, seat: number): Promise<void> {
    return this.#transport.empty('DELETE', path`/license/items/${item}/seats/${seat}`);
  }

  // Handshake codes.

  projects(list: ListOptions = {}, signal?: AbortSignal): Promise<List<Project>> {
    return this.#get('/license/projects', { ...list }, signal);
  }
  createProject(request: ProjectRequest): Promise<Project> {
    return this.#transport.json('POST', '/license/projects', { body: request });
  }
  editProject(handshakeCode: string, edit: ProjectEdit): Promise<Project> {
    return this.#transport.json('PATCH', path`/license/projects/${handshakeCode}`, { body: edit });
  }
  deleteProject(handshakeCode: string): Promise<void> {
    return this.#transport.empty('DELETE', path`/license/projects/${handshakeCode}`);
  }

  // Usage.

  usage(options: UsageOptions = {}, signal?: AbortSignal): Promise<{ items: UsageRow[] }> {
    return this.#get('/license/usage', { ...options }, signal);
  }
  /** Address of the same as a file, for links. */
  usageURL(format: 'json' | 'csv', options: UsageOptions = {}): string {
    return this.#transport.url('/license/usage', { ...options, format });
  }
  /** Address of every counted page, one a line, for links. */
  ledgerURL(node?: string): string {
    return this.#transport.url('/license/ledger', { node });
  }

  // Alerts.

  alerts(signal?: AbortSignal): Promise<Alerts> {
    return this.#get('/license/alerts', {}, signal);
  }
  setAlerts(settings: AlertSettings): Promise<Alerts> {
    return this.#transport.json('PUT', '/license/alerts', { body: settings });
  }
  /** Sends a test message by every way that is set. */
  testAlerts(): Promise<{ sent: AlertSent[] }> {
    return this.#transport.json('POST', '/license/alerts/test');
  }

  #get<T>(p: string, query: Query, signal: AbortSignal | undefined): Promise<T> {
    return this.#transport.json('GET', p, { query, signal });
  }
}
