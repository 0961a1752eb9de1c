import type { JoinToken, Node } from '@platen/sdk';
import { useEffect, useId, useState } from 'preact/hooks';
import { admin, platen } from '../api.js';
import { countdown } from '../i18n/index.js';
import { navigate, useRoute } from '../router.js';
import { mayManageNodes, useNodes } from '../store/nodes.js';
import { act } from '../ui/act.js';
import { Banner, Chip, Empty, Field, ProblemScreen, Skeletons, useClock } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { Secret } from '../ui/secret.js';
import { NodeSheet, NodeState } from './node.js';
import { asksToShow } from './presents.js';
import { Waiting } from './waiting.js';
import { t } from './words.js';

/** A gateway's nodes, for its administrators. What waits for approval is on top. */
export function NodesScreen() {
  const [joined, setJoined] = useState<Node>();
  const { nodes, change, error, reload } = useNodes(setJoined);
  const [token, setToken] = useState<JoinToken>();
  const [open, setOpen] = useState<string>();
  const show = useRoute().query.get('show') ?? '';
  useEffect(() => {
    if (joined) setToken(undefined);
  }, [joined]);
  if (!mayManageNodes()) {
    return <Screen title={t('nodes.title')} up="/admin"><Empty icon="server" title={t('nodes.title')}>{t('nodes.not-gateway')}</Empty></Screen>;
  }
  const make = (): void => {
    setJoined(undefined);
    void act(async () => setToken(await admin.createJoinToken()));
  };
  const others = nodes?.filter((n) => n.state !== 'waiting') ?? [];
  const shown = others.filter((n) => matches(n, show));
  const chosen = others.find((n) => n.id === open);
  const asked = nodes !== undefined && others.length < nodes.length;
  return (
    <Screen title={t('nodes.title')} up="/admin" bar={nodes && !token && <Bar id="nodes"><Button kind={asked ? 'outlined' : 'primary'} icon="plus" class="primary-place" data-action="add-node" onClick={make}>{t('nodes.add')}</Button></Bar>}>
      {!nodes && error === undefined && <Skeletons />}
      {!nodes && error !== undefined && <ProblemScreen error={error} onAgain={reload} />}
      {nodes && <Waiting nodes={nodes} onChange={change} onStale={reload} />}
      {token && <Token token={token} onNew={make} onClose={() => {
        void admin.deleteJoinToken(token.id).catch(() => {});
        setToken(undefined);
      }} />}
      {joined && <Banner icon="circle-check" tone="ok" title={t('nodes.add.joined', { name: joined.name })} />}
      {nodes?.length === 0 && !token && <Empty icon="server" title={t('nodes.empty')}>{t('nodes.empty.text')}</Empty>}
      {others.length > 1 && <Filter nodes={others} value={show} />}
      {shown.length > 0 && (
        <ul class="card list">
          {shown.map((node) => (
            <li key={node.id}>
              <button type="button" class="row" data-node={node.name} onClick={() => setOpen(node.id)}>
                <span class="badge"><Icon name="server" /></span>
                <span class="text">
                  <span class="head">{node.name}</span>
                  <NodeState node={node} />
                  {node.fault && <Chip icon="triangle-alert" tone="bad">{t('nodes.fault')}</Chip>}
                  {asksToShow(node) > 0 && <Chip icon="scanner" tone="warn">{t('nodes.wants', { count: asksToShow(node) })}</Chip>}
                  <span class="label quiet">{[t('nodes.scanners', { count: node.scanners }), node.version && t('nodes.version', { version: node.version }), ...(node.labels ?? [])].filter(Boolean).join(' · ')}</span>
                </span>
                <Icon name="chevron-right" />
              </button>
            </li>
          ))}
        </ul>
      )}
      {others.length > 0 && shown.length === 0 && <p class="quiet" role="status">{t('nodes.none-shown')}</p>}
      {chosen && <NodeSheet key={chosen.id} node={chosen} onClose={() => setOpen(undefined)} onChange={change} />}
    </Screen>
  );
}

const states = ['online', 'offline', 'draining', 'quarantined', 'revoked'] as const;

/** `show` is a state, or `label:NAME`. It stands in the address, so that a reload and a bookmark keep it. */
function matches(node: Node, show: string): boolean {
  if (!show) return true;
  return show.startsWith('label:') ? (node.labels ?? []).includes(show.slice(6)) : node.state === show;
}

function Filter({ nodes, value }: { nodes: Node[]; value: string }) {
  const id = useId();
  const labels = [...new Set(nodes.flatMap((n) => n.labels ?? []))].sort((a, b) => a.localeCompare(b));
  const there = states.filter((s) => s === value || nodes.some((n) => n.state === s));
  return (
    <Field label={t('nodes.show')} for={id}>
      <select id={id} name="show" value={value} onChange={(event) => {
        const show = event.currentTarget.value;
        navigate(show ? `/nodes?${new URLSearchParams({ show })}` : '/nodes', { replace: true });
      }}>
        <option value="">{t('nodes.show.all')}</option>
        {there.map((s) => <option key={s} value={s}>{t(`nodes.show.${s}`)}</option>)}
        {labels.length > 0 && <optgroup label={t('nodes.labels')}>{labels.map((l) => <option key={l} value={`label:${l}`}>{l}</option>)}</optgroup>}
      </select>
    </Field>
  );
}

function Token({ token, onNew, onClose }: { token: JoinToken; onNew: () => void; onClose: () => void }) {
  const clock = useClock(() => platen.now());
  const left = Date.parse(token.expires) - clock;
  return (
    <div class="card padded" data-token={left > 0 ? 'open' : 'expired'}>
      <strong>{t('nodes.add')}</strong>
      {left > 0 ? (
        <>
          <p>{t('nodes.add.text')}</p>
          <Secret text={`platen node --join ${token.token}`} />
          <p class="label quiet numbers">{t('nodes.add.left', { time: countdown(left) })} {t('nodes.add.waiting')}</p>
          <Button kind="plain" class="small" onClick={onClose}>{t('cancel')}</Button>
        </>
      ) : (
        <>
          <p>{t('nodes.add.expired')}</p>
          <Button class="small" onClick={onNew}>{t('nodes.add.new')}</Button>
        </>
      )}
    </div>
  );
}
