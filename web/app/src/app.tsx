import type { ComponentChildren } from 'preact';
import { useEffect, useErrorBoundary } from 'preact/hooks';
import { t, useLanguage } from './i18n/index.js';
import { explain } from './i18n/words.js';
import { match, navigate, useRoute } from './router.js';
import { DocumentScreen } from './screens/document.js';
import { DocumentsScreen } from './screens/documents.js';
import { HomeScreen } from './screens/home.js';
import { LiveScreen } from './screens/live.js';
import { Pill } from './screens/pill.js';
import { ScannerScreen } from './screens/scanner.js';
import { ScannersScreen } from './screens/scanners.js';
import { SignInDone } from './screens/signin-done.js';
import { SignInScreen } from './screens/signin.js';
import { linkOf } from './signin/link.js';
import { doneAt } from './signin/oidc.js';
import { findRunningJob } from './store/live.js';
import { isTracking, session, start } from './store/session.js';
import { useStore } from './store/store.js';
import { Empty, useAfter } from './ui/bits.js';
import { Button } from './ui/button.js';
import { Screen } from './ui/frame.js';
import { lazy } from './ui/lazy.js';
import { Toasts } from './ui/toast.js';

const Admin = lazy(() => import('./admin/index.js').then((m) => m.AdminScreens));
const Licences = lazy(() => import('./licences/index.js').then((m) => m.LicenceScreens));
const Setup = lazy(() => import('./setup/index.js').then((m) => m.Setup));

export function App() {
  useLanguage(); // everything is drawn anew in another language
  return (
    <>
      <Boundary><Gate /></Boundary>
      <Toasts />
    </>
  );
}

/** Nobody gets past here without a session. The address stays, so that signing in leads on to it. */
function Gate() {
  const now = useStore(session);
  const route = useRoute();
  const inside = now.state === 'in';
  useEffect(() => {
    if (inside && !isTracking()) void findRunningJob();
  }, [inside]);
  useEffect(() => {
    // Already signed in: the link has nothing to do, and its secret need not stay in the address.
    if (inside && (linkOf(route.hash) || route.path === '/pair')) navigate(route.path === '/pair' ? '/' : route.path, { replace: true });
  }, [inside, route.path, route.hash]);
  if (route.path === doneAt) return <SignInDone />;
  switch (now.state) {
    case 'starting':
      return <Starting />;
    case 'unreachable':
      return <Unreachable error={now.error} />;
    case 'out':
      return <SignInScreen hash={route.hash} />;
    case 'in':
      return <><Screens path={route.path} /><Pill path={route.path} /></>;
  }
}

function Screens({ path }: { path: string }) {
  const id = (pattern: string): string | undefined => match(path, pattern)?.[0];
  const scanner = id('/scanners/:');
  const job = id('/jobs/:');
  const document = id('/documents/:');
  const tracking = isTracking();
  if (path.startsWith('/licences') || (tracking && (path === '/' || path === '/pair'))) return <Licences path={path} />;
  if (id('/scanners/:/sticker')) return <Admin path={path} />;
  if (scanner) return <ScannerScreen key={scanner} id={scanner} />;
  if (job) return <LiveScreen key={job} id={job} />;
  if (document) return <DocumentScreen key={document} id={document} />;
  switch (path.replace(/\/+$/, '')) {
    case '':
    case '/pair':
      return <HomeScreen />;
    case '/scanners':
      return <ScannersScreen />;
    case '/documents':
      return <DocumentsScreen />;
    case '/account':
    case '/admin':
    case '/allow':
    case '/connect':
    case '/device':
    case '/nodes':
    case '/origins':
    case '/people':
    case '/permissions':
    case '/tokens':
      return <Admin path={path} />;
    case '/setup':
      return <Setup />;
    default:
      return (
        <Screen title="Platen" up="/">
          <Empty icon="info" title={t('route.unknown')} actions={<Button kind="primary" onClick={() => navigate('/', { replace: true })}>{t(tracking ? 'menu.licences' : 'route.home')}</Button>} />
        </Screen>
      );
  }
}

function Starting() {
  const late = useAfter(400);
  return <div class="splash" aria-busy="true">{late && <p class="quiet" role="status">{t('loading')}</p>}</div>;
}

function Unreachable({ error }: { error: unknown }) {
  useEffect(() => {
    const again = (): void => void start();
    const timer = setInterval(again, 5000);
    addEventListener('online', again);
    return () => {
      clearInterval(timer);
      removeEventListener('online', again);
    };
  }, []);
  const { next, code } = explain(error);
  return (
    <div class="splash">
      <Empty icon="wifi-off" title={navigator.onLine ? t('offline.first', { host: location.host }) : t('offline.device')} actions={<Button kind="primary" onClick={() => void start()}>{t('again')}</Button>}>
        {code ? next : t('offline.first.why')}
      </Empty>
    </div>
  );
}

/** A fault in the page itself: said, and never a white screen. Pages are safe at the scanner computer. */
function Boundary({ children }: { children: ComponentChildren }) {
  const [error] = useErrorBoundary((fault: unknown) => console.error(fault));
  if (error === undefined) return <>{children}</>;
  return (
    <div class="splash">
      <Empty icon="circle-alert" title={t('error.unknown')} actions={<Button kind="primary" onClick={() => location.reload()}>{t('error.reload')}</Button>}>
        {t('error.unknown.next')}
      </Empty>
    </div>
  );
}
