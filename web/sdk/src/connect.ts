import { PlatenClient } from './client.js';
import { permissionFor } from './permission.js';
import { ConnectionError, ProblemError } from './problem.js';
import { addressSpace } from './space.js';
import { clientName, termsOf, type LicenseTerms } from './terms.js';
import type { Service, Session, SessionLicense, SignIn } from './types.js';

export interface ConnectOptions extends LicenseTerms {
  /** Where the service is. Default: the node on this machine. */
  base?: string;
  /** Where the sign-in is kept: `memory` (default) until the page is left, `session` until the tab is closed. */
  keep?: 'memory' | 'session';
  /** What signs in, for people: "Shop, returns desk". */
  device?: string;
  /** Default: the global fetch. */
  fetch?: typeof fetch;
}

/** How things stand between a page and a service, with what the page can do about it. */
export type ConnectState =
  /** Nothing answers: not installed, switched off, another network, or a certificate that the browser does not trust. */
  | { state: 'not-reachable'; error: unknown }
  /** The browser will ask its user. Say why, then call `check({ ask: true })` from a click. */
  | { state: 'permission-needed' }
  /** The user or the browser has refused local addresses to this page. Only the browser's settings undo that. */
  | { state: 'permission-denied' }
  /** The service is there and refuses this page's origin. A person allows it at `consentUrl`, to be opened in a window of its own. */
  | { state: 'origin-not-allowed'; consentUrl: string }
  /** The page may ask; somebody must sign in. */
  | { state: 'sign-in-needed'; ways: SignIn }
  /** The licence does not let this page in. The error's `code`, `detail` and `next` say which, at which end, and what to do. */
  | { state: 'not-licensed'; error: ProblemError }
  /** `session.license` says what the page is licensed for; absent where no licence is asked for. */
  | { state: 'ready'; session: Session };

/** What one signs in with. */
export type SignInWith = { code: string } | { secret: string } | { deviceCode: string };

/**
 * The connection of a page of another origin to a service. The bearer token never leaves it.
 *
 *     const connection = await connect({ base: 'http://localhost:18622' });
 *     if (connection.now.state === 'ready') await connection.platen.scanners();
 */
export class Connection {
  readonly platen: PlatenClient;
  readonly #base: string;
  readonly #options: ConnectOptions;
  readonly #terms: LicenseTerms;
  #token: string | undefined;
  #now: ConnectState = { state: 'not-reachable', error: undefined };

  /** Throws license-both if the options have a product key and a handshake code. */
  constructor(options: ConnectOptions = {}) {
    this.#options = options;
    this.#terms = termsOf(options);
    this.#base = (options.base ?? 'http://localhost:18622').replace(/\/+$/, '');
    this.#token = this.#store?.getItem(this.#key) ?? undefined;
    this.platen = new PlatenClient({ base: this.#base, token: () => this.#token, ...(options.fetch ? { fetch: options.fetch } : {}) });
  }

  /** What the last check or sign-in found. */
  get now(): ConnectState {
    return this.#now;
  }

  /** What the page is licensed for; undefined before it is ready, and where no licence is asked for. */
  get license(): SessionLicense | undefined {
    return this.#now.state === 'ready' ? this.#now.session.license : undefined;
  }

  /** Finds out how things stand. With `ask`, from a click, the browser may ask its user about local addresses. */
  async check(options: { ask?: boolean } = {}): Promise<ConnectState> {
    this.#now = await this.#check(options.ask ?? false);
    return this.#now;
  }

  /** Signs in with a code that somebody reads out, or what a program was given. A code may have blanks, hyphens and small letters. */
  async signIn(credential: SignInWith): Promise<Session> {
    const clean = 'code' in credential ? { code: credential.code.toUpperCase().replace(/[\s-]/g, '') } : credential;
    return this.#create(clean);
  }

  async signOut(): Promise<void> {
    try {
      await this.platen.signOut();
    } finally {
      this.#remember(undefined);
      await this.check();
    }
  }

  /** Address for `<img>` or a download that works once, within a minute. `url` is what pageURL or documentContentURL gave. */
  ticketURL(url: string): Promise<string> {
    return this.platen.ticketURL(url);
  }

  async #check(ask: boolean): Promise<ConnectState> {
    if (typeof location !== 'undefined') {
      const permission = await this.#permission();
      if (permission === 'denied') return { state: 'permission-denied' };
      if (permission === 'prompt' && !ask) return { state: 'permission-needed' };
    }
    try {
      await this.#probe();
    } catch (error) {
      // The browser tells the page of a refusal only here.
      return (await this.#permission()) === 'denied' ? { state: 'permission-denied' } : { state: 'not-reachable', error };
    }
    try {
      if (this.#token) {
        const session = await this.platen.currentSession().catch((error: unknown) => {
          if (!(error instanceof ProblemError && error.status === 401)) throw error;
          this.#remember(undefined);
          return undefined;
        });
        if (session) return { state: 'ready', session };
      }
      const ways = await this.platen.waysToSignIn();
      // On the machine itself its user's word is enough, and the user has given it by allowing the origin.
      return ways.trusted ? { state: 'ready', session: await this.#create({}) } : { state: 'sign-in-needed', ways };
    } catch (error) {
      if (error instanceof ProblemError && licensing.test(error.code)) return { state: 'not-licensed', error };
      return (await this.#refused(error)) ? { state: 'origin-not-allowed', consentUrl: this.#consentURL() } : { state: 'not-reachable', error };
    }
  }

  /** Answers only if it is Platen that answers. Every origin may read this one. */
  async #probe(): Promise<void> {
    const service: Partial<Service> = await new PlatenClient({ base: this.#base, ...(this.#options.fetch ? { fetch: this.#options.fetch } : {}) }).service();
    if (service.product !== 'platen') throw new ConnectionError(new Error('what answers there is not Platen'));
  }

  /** A refusal has no CORS header, so that it looks like a lost connection: reachable and refused is told apart by the probe. */
  async #refused(error: unknown): Promise<boolean> {
    if (error instanceof ProblemError) return error.code === 'origin-not-allowed';
    return this.#probe().then(() => true, () => false);
  }

  async #create(credential: Partial<SignInWith>): Promise<Session> {
    const { device } = this.#options;
    const client = this.#foreign ? { client: clientName() } : {};
    const { token, ...session } = await this.platen.createSession({ ...credential, bearer: true, ...(device ? { device } : {}), ...this.#terms, ...client });
    this.#remember(token);
    this.#now = { state: 'ready', session };
    return session;
  }

  /** Whether this is a page of another origin: the service's own, and programs, need no licence. */
  get #foreign(): boolean {
    return typeof location !== 'undefined' && new URL(this.#base).origin !== location.origin;
  }

  #consentURL(): string {
    return `${this.#base}/allow#origin=${encodeURIComponent(location.origin)}`;
  }

  /** What the browser says of this page reaching the service; `granted` where it has no such gate, or does not say. */
  async #permission(): Promise<PermissionState> {
    if (typeof location === 'undefined') return 'granted';
    return permissionFor(addressSpace(new URL(this.#base).hostname), addressSpace(location.hostname));
  }

  get #store(): Storage | undefined {
    if (this.#options.keep !== 'session') return undefined;
    try {
      return sessionStorage;
    } catch {
      return undefined; // switched off
    }
  }

  get #key(): string {
    // A session goes by the licence that it was made with, so another licence takes another one.
    return ['platen.token', this.#base, ...Object.values(this.#terms)].join(' ');
  }

  #remember(token: string | undefined): void {
    this.#token = token;
    if (token === undefined) this.#store?.removeItem(this.#key);
    else this.#store?.setItem(this.#key, token);
  }
}

/** Codes that refuse a page for its licence. */
const licensing = /^(license-|handshake-unknown$|tracking-offline$)/;

/** Connects a page of another origin to a service, and says how things stand. */
export async function connect(options: ConnectOptions = {}): Promise<Connection> {
  const connection = new Connection(options);
  await connection.check();
  return connection;
}
