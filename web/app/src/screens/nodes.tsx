import type { JoinToken, Node } from '@platen/sdk';
import { useEffect, useId, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { countdown, moment, t } from '../i18n/index.js';
import { explain } from '../i18n/words.js';
import { followed, listen } from '../store/events.js';
import { session } from '../store/session.js';
import { useStore } from '../store/store.js';
import { Banner, Chip, Empty, ProblemNote, ProblemScreen, Skeletons, useClock } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { Sheet } from '../ui/sheet.js';
import { showToast } from '../ui/toast.js';
import { useLoad } from '../ui/use.js';

/** A gateway's nodes, for its administrators. */
export function NodesScreen() {
  const now = useStore(session);
  const gateway = now.state === 'in' && now.service.role === 'gateway';
  const { epoch } = useStore(followed);
  const loaded = useLoad((signal) => (gateway ? platen.nodes({ limit: 200 }, signal) : Promise.resolve({ items: [] as Node[] })), ['', epoch, gateway]);
  const [nodes, setNodes] = useState<Node[]>();
  const [token, setToken] = useState<JoinToken>();
  const [tokenError, setTokenError] = useState<unknown>();
  const [joined, setJoined] = useState<Node>();
  const [open, setOpen] = useState<string>();
  useEffect(() => setNodes(loaded.value?.items), [loaded.value]);
  useEffect(() => listen((event) => {
    const { node } = event;
    if (event.type !== 'node-state' || !node) return;
    setNodes((list) => {
      if (!list) return list;
      if (!list.some((n) => n.id === node.id)) {
        setJoined(node);
        setToken(undefined);
        return [...list, node];
      }
      return list.map((n) => (n.id === node.id ? node : n));
    });
  }), []);
  const make = async (): Promise<void> => {
    setTokenError(undefined);
    setJoined(undefined);
    try {
      setToken(await platen.createJoinToken());
    } catch (error) {
      setTokenError(error);
    }
  };
  const chosen = nodes?.find((n) => n.id === open);
  if (now.state === 'in' && !gateway) {
    return <Screen title={t('nodes.title')} up="/"><Empty icon="server" title={t('nodes.title')}>{t('nodes.not-gateway')}</Empty></Screen>;
  }
  return (
    <Screen title={t('nodes.title')} up="/" class="nodes-screen" bar={nodes && !token && <Bar id="nodes"><Button kind="primary" icon="plus" class="primary-place" data-action="add-node" onClick={() => void make()}>{t('nodes.add')}</Button></Bar>}>
      {!nodes && loaded.error === undefined && <Skeletons />}
      {!nodes && loaded.error !== undefined && <ProblemScreen error={loaded.error} onAgain={loaded.reload} />}
      {tokenError !== undefined && <ProblemNote error={tokenError} />}
      {token && <Token token={token} onNew={() => void make()} onClose={() => {
        void platen.deleteJoinToken(token.id).catch(() => {});
        setToken(undefined);
      }} />}
      {joined && <Banner icon="circle-check" tone="ok" title={t('nodes.add.joined', { name: joined.name })} />}
      {nodes?.length === 0 && !token && <Empty icon="server" title={t('nodes.empty')}>{t('nodes.empty.text')}</Empty>}
      {nodes && nodes.length > 0 && (
        <ul class="card list">
          {nodes.map((node) => (
            <li key={node.id}>
              <button type="button" class="row" data-node={node.name} onClick={() => setOpen(node.id)}>
                <span class="badge"><Icon name="server" /></span>
                <span class="text">
                  <span class="head">{node.name}</span>
                  <NodeState node={node} />
                  <span class="label quiet">{[t('nodes.scanners', { count: node.scanners }), node.version && t('nodes.version', { version: node.version })].filter(Boolean).join(' · ')}</span>
                </span>
                <Icon name="chevron-right" />
              </button>
            </li>
          ))}
        </ul>
      )}
      {chosen && <NodeSheet node={chosen} onClose={() => setOpen(undefined)} onChange={(node) => setNodes((list) => list?.map((n) => (n.id === node.id ? node : n)))} reload={loaded.reload} />}
    </Screen>
  );
}

function NodeState({ node }: { node: Node }) {
  switch (node.state) {
    case 'online':
      return <Chip icon="circle-check" tone="ok">{t('nodes.online')}</Chip>;
    case 'draining':
      return <Chip icon="clock" tone="warn">{t('nodes.draining')}</Chip>;
    case 'revoked':
      return <Chip icon="x" tone="bad">{t('nodes.revoked')}</Chip>;
    default:
      return <Chip icon="wifi-off">{t('nodes.offline', { time: moment(node.since) })}</Chip>;
  }
}

function Token({ token, onNew, onClose }: { token: JoinToken; onNew: () => void; onClose: () => void }) {
  const clock = useClock(() => platen.now());
  const left = Date.parse(token.expires) - clock;
  const command = `platen node --join ${token.token}`;
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(command);
      showToast(t('nodes.copied'));
    } catch {
      const range = document.createRange();
      range.selectNodeContents(document.querySelector('.command')!);
      getSelection()?.removeAllRanges();
      getSelection()?.addRange(range);
    }
  };
  return (
    <div class="card padded" data-token={left > 0 ? 'open' : 'expired'}>
      <strong>{t('nodes.add')}</strong>
      {left > 0 ? (
        <>
          <p>{t('nodes.add.text')}</p>
          <code class="command">{command}</code>
          <p class="label quiet numbers">{t('nodes.add.left', { time: countdown(left) })} {t('nodes.add.waiting')}</p>
          <div style={{ display: 'flex', gap: '12px', flexWrap: 'wrap' }}>
            <Button icon="copy" class="small" onClick={() => void copy()}>{t('nodes.copy')}</Button>
            <Button kind="plain" class="small" onClick={onClose}>{t('cancel')}</Button>
          </div>
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

function NodeSheet({ node, onClose, onChange, reload }: { node: Node; onClose: () => void; onChange: (node: Node) => void; reload: () => void }) {
  const [name, setName] = useState(node.name);
  const [asking, setAsking] = useState(false);
  const id = useId();
  const rename = async (): Promise<void> => {
    if (!name.trim() || name === node.name) return;
    try {
      onChange(await platen.renameNode(node.id, name.trim().slice(0, 80)));
      onClose();
    } catch (error) {
      showToast(explain(error).what);
    }
  };
  const revoke = async (): Promise<void> => {
    try {
      await platen.revokeNode(node.id);
      showToast(t('nodes.revoked.toast', { name: node.name }));
      onClose();
      reload();
    } catch (error) {
      showToast(explain(error).what);
    }
  };
  if (asking) {
    return (
      <Sheet open onClose={() => setAsking(false)} title={t('nodes.revoke.ask', { name: node.name })} foot={<>
        <Button class="first" onClick={() => setAsking(false)}>{t('cancel')}</Button>
        <Button kind="danger" onClick={() => void revoke()}>{t('nodes.revoke')}</Button>
      </>}>
        <p>{t('nodes.revoke.text', { count: node.scanners })}</p>
      </Sheet>
    );
  }
  return (
    <Sheet open onClose={onClose} title={node.name} foot={<>
      {node.state !== 'revoked' && <Button kind="danger-plain" class="first" onClick={() => setAsking(true)}>{t('nodes.revoke')}</Button>}
      <Button kind="primary" disabled={!name.trim() || name === node.name} onClick={() => void rename()}>{t('nodes.rename')}</Button>
    </>}>
      <NodeState node={node} />
      <div class="field">
        <label for={id}>{t('doc.name')}</label>
        <input id={id} type="text" maxLength={80} value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </div>
      <p class="caption quiet">{node.id}</p>
    </Sheet>
  );
}
