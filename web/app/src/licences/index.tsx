import { ProblemError } from '@platen/sdk';
import type { ComponentType } from 'preact';
import { match, navigate } from '../router.js';
import { isTracking, may } from '../store/session.js';
import { Empty, ProblemScreen } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Screen } from '../ui/frame.js';
import { AlertsScreen } from './alerts.js';
import { CodesScreen } from './codes.js';
import { HomeScreen } from './home.js';
import { ItemScreen } from './item.js';
import { UsageScreen } from './usage.js';
import { t } from './words.js';
import './licences.css';

const screens: Record<string, ComponentType> = {
  '': HomeScreen,
  '/pair': HomeScreen,
  '/licences': HomeScreen,
  '/licences/codes': CodesScreen,
  '/licences/usage': UsageScreen,
  '/licences/alerts': AlertsScreen,
};

/** All screens about licences. Their code is loaded when the first of them is opened; at a licence tracking server they are its home. */
export function LicenceScreens({ path }: { path: string }) {
  const up = isTracking() ? {} : { up: '/' };
  if (!may('operator')) {
    return <Screen title={t('title')} {...up}><ProblemScreen error={new ProblemError({ type: 'about:blank', status: 403, code: 'permission-denied', title: '', retryable: false })} /></Screen>;
  }
  const item = match(path, '/licences/items/:')?.[0];
  if (item) return <ItemScreen key={item} id={item} />;
  const Shown = screens[path.replace(/\/+$/, '')];
  if (Shown) return <Shown />;
  return (
    <Screen title={t('title')} up="/licences">
      <Empty icon="info" title={t('route.unknown')} actions={<Button kind="primary" onClick={() => navigate('/licences', { replace: true })}>{t('title')}</Button>} />
    </Screen>
  );
}
