import { ProblemError, type Role } from '@platen/sdk';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import { match, navigate } from '../router.js';
import { listen } from '../store/events.js';
import { mayManageNodes } from '../store/nodes.js';
import { may } from '../store/session.js';
import { ProblemScreen } from '../ui/bits.js';
import { Screen } from '../ui/frame.js';
import { announce, showToast } from '../ui/toast.js';
import { AccountScreen } from './account.js';
import { AllowScreen } from './allow.js';
import { ConnectScreen } from './connect.js';
import { DeviceScreen } from './device.js';
import { AdminScreen } from './hub.js';
import { NodesScreen } from './nodes.js';
import { OriginsScreen } from './origins.js';
import { PeopleScreen } from './people.js';
import { PermissionsScreen } from './permissions.js';
import { StickerScreen } from './sticker.js';
import { TokensScreen } from './tokens.js';
import { t } from './words.js';
import './admin.css';

const screens: Record<string, [min: Role, screen: ComponentType]> = {
  '/account': ['kiosk', AccountScreen],
  '/device': ['user', DeviceScreen],
  '/allow': ['admin', AllowScreen],
  '/admin': ['admin', AdminScreen],
  '/connect': ['operator', ConnectScreen],
  '/nodes': ['admin', NodesScreen],
  '/people': ['admin', PeopleScreen],
  '/permissions': ['admin', PermissionsScreen],
  '/origins': ['admin', OriginsScreen],
  '/tokens': ['admin', TokensScreen],
};

/** All screens that are not scanning: people, access, nodes. Their code is loaded when the first of them is opened. */
export function AdminScreens({ path }: { path: string }) {
  useAskers();
  const scanner = match(path, '/scanners/:/sticker')?.[0];
  if (scanner) return <StickerScreen id={scanner} />;
  const [min, Shown] = screens[path.replace(/\/+$/, '')]!;
  if (may(min)) return <Shown />;
  return <Screen title="Platen" up="/"><ProblemScreen error={new ProblemError({ type: 'about:blank', status: 403, code: 'permission-denied', title: '', retryable: false })} /></Screen>;
}

/** Tells an administrator, on whichever of these screens, that a node has just asked to be let in. */
function useAskers(): void {
  useEffect(() => {
    if (!mayManageNodes()) return;
    return listen(({ type, node }) => {
      if (type !== 'node-state' || node?.state !== 'waiting') return;
      const said = t('nodes.asks', { name: node.name });
      if (/^\/(nodes|admin)\b/.test(location.pathname)) announce(said); // there it is to be seen
      else showToast(said, { label: t('nodes.look'), run: () => navigate('/nodes') });
    });
  }, []);
}
