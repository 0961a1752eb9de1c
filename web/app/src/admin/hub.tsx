import { mayManageNodes } from '../store/nodes.js';
import { isTracking } from '../store/session.js';
import { Link } from '../ui/button.js';
import { Screen } from '../ui/frame.js';
import { Icon, type IconName } from '../ui/icon.js';
import { Joining } from '../ui/joining.js';
import { t, type Key } from './words.js';

const rows: { to: string; icon: IconName; name: Key; text: Key; gateway?: true; scanners?: true }[] = [
  { to: '/nodes', icon: 'server', name: 'nodes.title', text: 'admin.nodes', gateway: true },
  { to: '/people', icon: 'users-round', name: 'people.title', text: 'admin.people' },
  { to: '/permissions', icon: 'lock', name: 'permissions.title', text: 'admin.permissions', scanners: true },
  { to: '/origins', icon: 'globe', name: 'origins.title', text: 'admin.origins', scanners: true },
  { to: '/tokens', icon: 'terminal', name: 'tokens.title', text: 'admin.tokens' },
  { to: '/licences', icon: 'key-round', name: 'menu.licences', text: 'admin.licences' },
];

/** Where an administrator goes from. */
export function AdminScreen() {
  const gateway = mayManageNodes();
  const tracking = isTracking();
  return (
    <Screen title={t('menu.admin')} up="/">
      <Joining />
      <ul class="card list">
        {rows.filter((row) => (gateway || !row.gateway) && !(tracking && row.scanners)).map((row) => (
          <li key={row.to}>
            <Link class="row" to={row.to}>
              <Icon name={row.icon} />
              <span class="text">
                <span class="head">{t(row.name)}</span>
                <span class="label quiet">{t(row.text)}</span>
              </span>
              <Icon name="chevron-right" />
            </Link>
          </li>
        ))}
      </ul>
    </Screen>
  );
}
