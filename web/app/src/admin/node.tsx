import type { Node } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { admin } from '../api.js';
import { moment } from '../i18n/index.js';
import { act } from '../ui/act.js';
import { Banner, Chip, Field, Switch } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Confirm } from '../ui/confirm.js';
import { Sheet } from '../ui/sheet.js';
import { listOf } from './fields.js';
import { Presents } from './presents.js';
import { t } from './words.js';

interface NodeSheetProps {
  node: Node;
  onClose: () => void;
  onChange: (node: Node) => void;
}

/** One node: name, labels, drain, revoke; what it shows around it; and what to do if its key was used twice. */
export function NodeSheet({ node, onClose, onChange }: NodeSheetProps) {
  const [name, setName] = useState(node.name);
  const [labels, setLabels] = useState((node.labels ?? []).join(', '));
  const [draining, setDraining] = useState(node.draining ?? false);
  const [asking, setAsking] = useState(false);
  const [working, setWorking] = useState(false);
  const ids = [useId(), useId()] as const;
  const edit = {
    ...(name.trim() && name.trim() !== node.name ? { name: name.trim().slice(0, 80) } : {}),
    ...(listOf(labels).join() !== (node.labels ?? []).join() ? { labels: listOf(labels) } : {}),
    ...(draining !== (node.draining ?? false) ? { draining } : {}),
  };
  const run = async (what: () => Promise<unknown>, done?: string): Promise<void> => {
    setWorking(true);
    if (await act(what, done)) onClose();
    setWorking(false);
  };
  const blocked = node.state === 'revoked';
  if (asking) {
    return (
      <Confirm title={t('nodes.revoke.ask', { name: node.name })} label={t('nodes.revoke')} onClose={() => setAsking(false)} onYes={() => run(async () => {
        await admin.revokeNode(node.id);
        onChange({ ...node, state: 'revoked' });
      }, t('nodes.revoked.toast', { name: node.name }))}>{t('nodes.revoke.text', { count: node.scanners })} {t('nodes.revoke.jobs', { count: node.jobs ?? 0 })}</Confirm>
    );
  }
  return (
    <Sheet open onClose={onClose} title={node.name} foot={<>
      {!blocked && <Button kind="danger-plain" class="first" data-action="revoke" onClick={() => setAsking(true)}>{t('nodes.revoke')}</Button>}
      <Button kind="primary" data-action="save" disabled={working || Object.keys(edit).length === 0} onClick={() => void run(async () => onChange(await admin.editNode(node.id, edit)), t('doc.saved'))}>{t('save')}</Button>
    </>}>
      <NodeState node={node} />
      {(node.state === 'quarantined' || node.fault) && (
        <Banner icon="triangle-alert" tone="bad" title={t(node.fault ? 'nodes.fault.title' : 'nodes.quarantined.title')} actions={
          <Button class="small" data-action="reinstate" disabled={working} onClick={() => void run(async () => onChange(await admin.reinstateNode(node.id)), t('nodes.reinstated', { name: node.name }))}>{t('nodes.reinstate')}</Button>
        }><p>{t(node.fault ? 'nodes.fault.text' : 'nodes.quarantined.text')}</p></Banner>
      )}
      {node.state === 'offline' && <p class="label quiet">{t('nodes.offline.text')}</p>}
      {!blocked && <Presents node={node} onChange={onChange} />}
      <Field label={t('doc.name')} for={ids[0]}>
        <input id={ids[0]} type="text" maxLength={80} value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </Field>
      <Field label={t('nodes.labels')} hint={t('nodes.labels.hint')} for={ids[1]}>
        <input id={ids[1]} type="text" value={labels} onInput={(event) => setLabels(event.currentTarget.value)} />
      </Field>
      {!blocked && <Switch label={t('nodes.drain')} name="draining" hint={node.draining && node.jobs ? t('nodes.drain.left', { count: node.jobs }) : t('nodes.drain.hint')} checked={draining} onChange={setDraining} />}
      <p class="caption quiet">{node.id}</p>
    </Sheet>
  );
}

export function NodeState({ node }: { node: Node }) {
  switch (node.state) {
    case 'online':
      return <Chip icon="circle-check" tone="ok">{t('nodes.online')}</Chip>;
    case 'draining':
      return <Chip icon="clock" tone="warn">{t('nodes.draining')}</Chip>;
    case 'quarantined':
      return <Chip icon="triangle-alert" tone="bad">{t('nodes.quarantined')}</Chip>;
    case 'revoked':
      return <Chip icon="x" tone="bad">{t('nodes.revoked')}</Chip>;
    case 'waiting':
      return <Chip icon="clock">{t('nodes.waiting')}</Chip>;
    case 'offline':
      return <Chip icon="wifi-off">{t('nodes.offline', { time: moment(node.since) })}</Chip>;
  }
}
