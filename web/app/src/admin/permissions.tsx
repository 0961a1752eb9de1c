import { collect, type Permission } from '@platen/sdk';
import { useState } from 'preact/hooks';
import { admin, platen } from '../api.js';
import { useRoute } from '../router.js';
import { mayManageNodes } from '../store/nodes.js';
import { act } from '../ui/act.js';
import { Empty, ProblemScreen, Skeletons } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { useLoad } from '../ui/use.js';
import { AddPermission, levelOf, type Named } from './permission.js';
import { t } from './words.js';

/** Who may use which scanner. `?scanner=ID` shows one scanner's rules. */
export function PermissionsScreen() {
  const only = useRoute().query.get('scanner') ?? undefined;
  const rules = useLoad((signal) => admin.permissions(signal), []);
  const names = useLoad(loadNames, []);
  const [adding, setAdding] = useState(false);
  const gateway = mayManageNodes();
  const named = names.value;
  const shown = rules.value?.items.filter((rule) => !only || rule.scanner === only || rule.node || rule.label);
  const error = rules.error ?? names.error;
  return (
    <Screen title={t('permissions.title')} up="/admin" bar={shown && named && <Bar id="permissions">
      <Button kind="primary" icon="plus" class="primary-place" data-action="add-permission" onClick={() => setAdding(true)}>{t('permissions.add')}</Button>
    </Bar>}>
      {(!shown || !named) && error === undefined && <Skeletons />}
      {(!shown || !named) && error !== undefined && <ProblemScreen error={error} onAgain={() => {
        rules.reload();
        names.reload();
      }} />}
      {only && named && <p class="title">{named.scanners.get(only)}</p>}
      {shown && named && <p class="quiet">{t('permissions.text')} {t(gateway ? 'permissions.text.gateway' : 'permissions.text.node')}</p>}
      {shown?.length === 0 && <Empty icon="users-round" title={t('permissions.empty')}>{t('permissions.empty.text')}</Empty>}
      {shown && named && shown.length > 0 && (
        <ul class="card list">
          {shown.map((rule) => (
            <li class="row" key={rule.id} data-permission={rule.id}>
              <Icon name={rule.user ? 'user-round' : 'users-round'} />
              <span class="text">
                <span class="head">{whoOf(rule, named)}</span>
                <span class="label quiet">{t(levelOf(rule.actions))}</span>
                <span class="label quiet">{whatOf(rule, named)}</span>
              </span>
              <Button kind="danger-plain" class="small" onClick={() => void act(() => admin.deletePermission(rule.id), t('permissions.removed')).then(rules.reload)}>{t('remove')}</Button>
            </li>
          ))}
        </ul>
      )}
      {adding && named && <AddPermission named={named} scanner={only} onClose={() => setAdding(false)} onAdded={rules.reload} />}
    </Screen>
  );
}

function whoOf(rule: Permission, named: Named): string {
  if (rule.user) return named.users.get(rule.user) ?? t('permissions.gone');
  return rule.group ? t('permissions.group', { name: rule.group }) : t(`permissions.role.${rule.role!}`);
}

function whatOf(rule: Permission, named: Named): string {
  if (rule.scanner) return named.scanners.get(rule.scanner) ?? t('permissions.gone');
  return rule.node ? t('permissions.node', { name: named.nodes.get(rule.node) ?? t('permissions.gone') }) : t('permissions.label', { name: rule.label! });
}

async function loadNames(signal: AbortSignal): Promise<Named> {
  const gateway = mayManageNodes();
  const [users, scanners, nodes] = await Promise.all([
    collect((list) => admin.users({ limit: 200, ...list }, signal)),
    collect((list) => platen.scanners({ limit: 200, ...list }, signal)),
    gateway ? collect((list) => admin.nodes({ limit: 200, ...list }, signal)) : [],
  ]);
  const sorted = (values: string[]): string[] => [...new Set(values)].sort((a, b) => a.localeCompare(b));
  return {
    users: new Map(users.map((u) => [u.id, u.name])),
    groups: sorted(users.flatMap((u) => u.groups ?? [])),
    scanners: new Map(scanners.map((s) => [s.id, s.location ? `${s.name} · ${s.location}` : s.name])),
    nodes: new Map(nodes.filter((n) => n.state !== 'revoked' && n.state !== 'waiting').map((n) => [n.id, n.name])),
    labels: sorted(nodes.flatMap((n) => n.labels ?? [])),
  };
}
