import { ConnectionError, ProblemError, type Role, type Service, type Session, type SessionRequest } from '@platen/sdk';
import { onSignedOut, platen } from '../api.js';
import { createStore, useStore } from './store.js';

export type SessionState =
  | { state: 'starting' }
  | { state: 'unreachable'; error: unknown }
  | { state: 'out'; reason: unknown }
  | { state: 'in'; service: Service; session: Session; check?: string };

export const session = createStore<SessionState>({ state: 'starting' });

onSignedOut(() => {
  if (session.get().state === 'in') session.set({ state: 'out', reason: 'expired' });
});

/** Finds out who is signed in here. */
export async function start(): Promise<void> {
  try {
    const [service, own] = await Promise.all([platen.service(), platen.currentSession()]);
    enter(service);
    session.set({ state: 'in', service, session: own });
  } catch (error) {
    if (error instanceof ProblemError && error.status === 401) session.set({ state: 'out', reason: undefined });
    else if (error instanceof ProblemError && !error.retryable) session.set({ state: 'out', reason: error });
    else session.set({ state: 'unreachable', error });
  }
}

/** A node itself needs no way around a gateway. */
function enter(service: Service): void {
  if (service.role !== 'gateway') platen.roads?.close();
}

/** Reports whether a gateway stands between this page and the scanner computers. */
export function behindGateway(): boolean {
  const now = session.get();
  return now.state === 'in' && now.service.role === 'gateway';
}

/** Reports whether this is a licence tracking server by itself: an end without scanners. */
export function isTracking(): boolean {
  const now = session.get();
  return now.state === 'in' && now.service.role === 'tracking';
}

/** Signs in with a code, a secret, or what a provider or passkey answered: the one act of signing in. */
export async function signIn(credential: SessionRequest): Promise<void> {
  const own = await platen.createSession({ ...credential, device: deviceName() });
  try {
    const service = await platen.service();
    enter(service);
    session.set({ state: 'in', service, session: own, ...(own.check ? { check: own.check } : {}) });
  } catch (error) {
    // The credential is spent and the cookie here: a lost line must not ask for another one.
    if (!(error instanceof ConnectionError)) throw error;
    session.set({ state: 'unreachable', error });
  }
}

export async function signOut(): Promise<void> {
  try {
    await platen.signOut();
  } catch (error) {
    if (error instanceof ConnectionError) throw error;
  }
  session.set({ state: 'out', reason: undefined });
}

export function dismissCheck(): void {
  const now = session.get();
  if (now.state === 'in' && now.check) session.set({ state: 'in', service: now.service, session: now.session });
}

/** The session of this device; only for screens behind the sign-in. */
export function useOwn(): Session {
  const now = useStore(session);
  if (now.state !== 'in') throw new Error('nobody is signed in');
  return now.session;
}

const ranks: Role[] = ['kiosk', 'user', 'operator', 'admin'];

export function may(min: Role): boolean {
  const now = session.get();
  return now.state === 'in' && ranks.indexOf(now.session.role) >= ranks.indexOf(min);
}

/** What people call this device, as far as the browser says it. */
function deviceName(): string {
  const agent = navigator as Navigator & { userAgentData?: { platform: string; brands: { brand: string }[] } };
  const ua = navigator.userAgent;
  const system = /iPhone/.test(ua) ? 'iPhone'
    : /iPad/.test(ua) || (/Macintosh/.test(ua) && navigator.maxTouchPoints > 1) ? 'iPad'
    : /Android[^;)]*; ([^;)]{2,40})/.exec(ua)?.[1]?.replace(/^K$/, 'Android')
      ?? agent.userAgentData?.platform
      ?? (/Windows/.test(ua) ? 'Windows' : /Mac OS/.test(ua) ? 'Mac' : /Linux/.test(ua) ? 'Linux' : '');
  const browser = /Firefox\//.test(ua) ? 'Firefox' : /Edg\//.test(ua) ? 'Edge' : /Chrome\//.test(ua) ? 'Chrome' : /Safari\//.test(ua) ? 'Safari' : '';
  return [system, browser].filter(Boolean).join(', ').slice(0, 80) || 'Browser';
}
