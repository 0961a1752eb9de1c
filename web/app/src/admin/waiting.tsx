import type { Node } from '@platen/sdk';
import { useState } from 'preact/hooks';
import { admin } from '../api.js';
import { moment } from '../i18n/index.js';
import { act } from '../ui/act.js';
import { Banner, CheckString, useAfter } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Confirm } from '../ui/confirm.js';
import { Icon } from '../ui/icon.js';
import { namesake } from './namesake.js';
import { t } from './words.js';

/** They come by themselves, and shift what is below: a tap that was meant for that lets nobody in. Milliseconds. */
const reading = 1000;

interface WaitingProps {
  /** All that are here, those that wait among them. */
  nodes: Node[];
  onChange: (node: Node) => void;
  /** What is shown is old. */
  onStale: () => void;
}

/** Nodes that want to join, with the symbols that each of them shows as well: one tap lets it in. */
export function Waiting({ nodes, ...rest }: WaitingProps) {
  const waiting = nodes.filter((n) => n.state === 'waiting');
  if (waiting.length === 0) return null;
  return (
    <section aria-labelledby="waiting">
      <h2 id="waiting">{t('joining', { count: waiting.length })}</h2>
      <ul class="waiting">{waiting.map((node) => <Asker key={`${node.id} ${node.check}`} node={node} nodes={nodes} {...rest} />)}</ul>
    </section>
  );
}

function Asker({ node, nodes, onChange, onStale }: WaitingProps & { node: Node }) {
  const [working, setWorking] = useState(false);
  const [refusing, setRefusing] = useState(false);
  const ready = useAfter(reading);
  const approve = async (): Promise<void> => {
    setWorking(true);
    if (!(await act(async () => onChange(await admin.approveNode(node.id, node.check!)), t('nodes.add.joined', { name: node.name })))) onStale();
    setWorking(false);
  };
  return (
    <li class="card padded" data-waiting={node.name}>
      <div class="waiting-who">
        <span class="badge"><Icon name="server" /></span>
        <div>
          <p class="head">{node.name}</p>
          <p class="label quiet">{t('nodes.waiting.from', { address: node.address ?? '', time: moment(node.since) })}</p>
        </div>
      </div>
      {namesake(node, nodes) && <Banner icon="triangle-alert" tone="warn" title={t('nodes.namesake')}><p>{t('nodes.namesake.text')}</p></Banner>}
      {node.check && <CheckString check={node.check} />}
      <p class="label">{t('nodes.approve.text', { name: node.name })}</p>
      <div class="actions">
        <Button kind="primary" data-action="approve" disabled={!ready || working || !node.check} onClick={() => void approve()}>{t('nodes.match')}</Button>
        <Button kind="danger-plain" data-action="not-mine" disabled={!ready || working} onClick={() => setRefusing(true)}>{t('nodes.not-mine')}</Button>
      </div>
      {refusing && (
        <Confirm title={t('nodes.refuse.ask', { name: node.name })} label={t('nodes.revoke')} onClose={() => setRefusing(false)} onYes={() => act(async () => {
          await admin.revokeNode(node.id);
          onChange({ ...node, state: 'revoked' });
        }, t('nodes.revoked.toast', { name: node.name }))}>{t('nodes.refuse.text')}</Confirm>
      )}
    </li>
  );
}
